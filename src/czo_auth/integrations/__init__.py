"""Helpers for host frameworks."""
