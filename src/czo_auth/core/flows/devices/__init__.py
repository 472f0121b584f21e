"""Approving a command line in the browser."""
