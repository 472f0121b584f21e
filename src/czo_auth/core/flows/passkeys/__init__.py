"""Passkeys: registration, sign-in, second step and step-up, and the list of a user's own."""
