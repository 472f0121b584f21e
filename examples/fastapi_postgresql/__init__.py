"""FastAPI on PostgreSQL with four worker processes."""
