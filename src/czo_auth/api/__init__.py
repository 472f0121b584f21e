"""The server-side API for a host's own code: ``auth.users``, ``auth.api_keys`` and so on."""
