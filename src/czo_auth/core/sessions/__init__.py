"""Sessions, their refresh families and their access tokens."""
