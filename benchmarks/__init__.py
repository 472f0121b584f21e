"""
All measurements that this project publishes about itself: ``python -m benchmarks``, or ``make bench``.

Machines are shared and noisy, so what counts are ratios taken in one run, in interleaved rounds, as medians, from the
CPU time of the server's processes. docs/performance.md describes the method.
"""
