"""Passkeys: what is stored of one, and the rules of the deployment."""
