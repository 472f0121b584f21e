"""The GraphQL skin: one door, bounded documents, the caller's own things and nobody else's."""
