"""Issuing, refreshing and revoking sessions."""
