"""API keys: their format, scopes and current rights."""
