"""Users: address, password and actor types."""
