"""nginx in front of a service that knows nothing of czo-auth."""
