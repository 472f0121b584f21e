"""How large a deployment becomes, and what it would need: ``python -m benchmarks.capacity``."""
