"""Senders of events and mail; each module is one destination."""
