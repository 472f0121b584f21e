"""A Starlette application with czo-auth mounted into it."""
