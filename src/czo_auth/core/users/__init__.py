"""People: their address, their password, the actor types they wear."""
