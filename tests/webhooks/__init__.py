"""Webhooks: where they may go, how requests are made, and how several processes share them."""
