"""Service accounts: owners of API keys that do not depend on a person."""
