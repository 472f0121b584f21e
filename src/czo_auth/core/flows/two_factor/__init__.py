"""Enrolling, verifying and removing a second factor."""
