"""People: their address, their password, the hats they wear."""
