"""A Litestar application with czo-auth mounted into it."""
