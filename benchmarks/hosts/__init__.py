"""The servers that are measured, one small application each. Some run in a separate environment."""
