"""Approving a command line in the browser: the device authorization grant (RFC 8628)."""
