"""Django that keeps its own users beside czo-auth's accounts, linked by id."""
