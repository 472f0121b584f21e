"""Signing up, signing in and out, and the password."""
