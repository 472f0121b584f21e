"""
The same attacks on other people's servers and on this one, by the same client over HTTP.

``python -m benchmarks.attacks`` (``make peers``) writes what was seen to ``docs/peers.md``.
"""
