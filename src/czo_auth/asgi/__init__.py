"""What the skins share: credentials, authentication, cookies, origins, problems. Pure ASGI, no framework."""
