"""What a host's own code asks of its deployment: ``auth.users``, ``auth.api_keys`` and their like."""
