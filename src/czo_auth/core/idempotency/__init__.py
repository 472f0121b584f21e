"""Answers that are kept sealed for a few minutes, so that a repeated request makes nothing new."""
