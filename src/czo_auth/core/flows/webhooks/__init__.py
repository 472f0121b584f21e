"""Webhooks: managing endpoints, and delivering events to them."""
