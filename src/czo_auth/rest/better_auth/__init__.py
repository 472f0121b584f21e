"""The calls of better-auth's JavaScript client for which there is no native route."""
