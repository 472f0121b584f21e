"""An account to its end: its address, its export, its deletion."""
