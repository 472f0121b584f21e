"""
The same attacks on other servers and on this one, with the same client over HTTP.

``python -m benchmarks.attacks`` (``make peers``) writes the results to ``docs/peers.md``.
"""
