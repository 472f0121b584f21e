"""The account and administration pages: plain HTML that works without scripts."""
