"""What a million people cost against a thousand: ``python -m benchmarks.growth``."""
