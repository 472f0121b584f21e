"""The servers that are measured, one small application each. Some run in an environment of their own."""
