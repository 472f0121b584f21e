"""``python -m czo_auth`` is ``czo-auth``."""

from czo_auth.cli import main

if __name__ == "__main__":
    main()
