"""
Mutation testing: change one thing in the code, and see whether a test notices.

``python -m tools.mutation`` (``make mutation``) does it for the modules of `TARGETS`. What survives is a test that is
missing, or stands with its reason in ``explained.toml``.
"""
