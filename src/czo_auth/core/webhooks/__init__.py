"""Webhooks: endpoints of others that events are sent to (Standard Webhooks 1.0)."""
