"""A FastAPI application with czo-auth mounted into it."""
