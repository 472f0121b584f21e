"""What the skins share: credentials, authentication, admission, strict bodies, cookies, origins, problems."""
