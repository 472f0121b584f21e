"""API keys: their life cycle and their restrictions."""
