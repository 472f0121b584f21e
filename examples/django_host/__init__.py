"""A Django project with czo-auth beside it."""
