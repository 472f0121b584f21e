"""Webhooks: how they are managed, and how events get to them."""
