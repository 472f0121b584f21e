"""Service accounts: what API keys belong to that outlive people."""
