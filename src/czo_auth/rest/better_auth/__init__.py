"""The calls that better-auth's JavaScript client makes and the native routes do not already answer."""
