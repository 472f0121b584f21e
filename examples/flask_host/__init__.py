"""A Flask application with czo-auth beside it."""
