"""API keys: their format, their scopes, what they may do now."""
