"""Where events and mail leave the process; each file is one way out."""
