"""A React page that uses better-auth's JavaScript client."""
