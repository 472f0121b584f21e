"""The GraphQL API: one endpoint, bounded documents, and the caller's own data only."""
