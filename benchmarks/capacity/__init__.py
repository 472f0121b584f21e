"""How large a deployment grows, and what it needs: ``python -m benchmarks.capacity``."""
