"""Free ports of 127.0.0.1 for the servers that tests start."""

from __future__ import annotations

import random
import socket

# Below the range from which Linux and macOS take the near end of outgoing connections: a port that is free when
# it is picked stays free, however many clients the other tests open in the meantime.
FIRST, LAST = 20_000, 32_000

_given: set[int] = set()


def free_port() -> int:
    """
    Pick a port that nobody listens on, at random, so that parallel test processes seldom meet.

    Never the same twice: two servers that share a port would share the requests, too.
    """
    for _ in range(100):
        port = random.randint(FIRST, LAST)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise RuntimeError("no free port on 127.0.0.1")
