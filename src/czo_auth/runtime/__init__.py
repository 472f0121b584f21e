"""The composition root: one deployment, and what it needs of the process (clock, threads, counters)."""

from czo_auth.runtime.clock import utc_now
from czo_auth.runtime.root import Runtime

__all__ = ["Runtime", "utc_now"]
