"""The settings of a deployment, in groups by area."""

from czo_auth.settings.database import DATABASE_FILE, KEY_FILE
from czo_auth.settings.network import DEFAULT_COOKIE_PREFIX
from czo_auth.settings.settings import SECRETS, Settings

__all__ = ["DATABASE_FILE", "DEFAULT_COOKIE_PREFIX", "KEY_FILE", "SECRETS", "Settings"]
