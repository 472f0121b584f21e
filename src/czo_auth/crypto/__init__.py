"""
Primitives: bytes in, bytes out.

No I/O, no clock, no settings. Time comes in as `now`, keys come in as values, and the only randomness of
the product comes from `tokens.random_bytes` and the key generators of the libraries behind these files.
"""
