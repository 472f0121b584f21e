"""The revisions, oldest first by number. A released one is never edited: the next one changes what it did."""
