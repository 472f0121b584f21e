"""Webhooks: external endpoints that events are sent to (Standard Webhooks 1.0)."""
