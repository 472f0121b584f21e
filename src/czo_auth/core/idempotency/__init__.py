"""Answers that are stored encrypted for a few minutes, so that a repeated request creates nothing new."""
