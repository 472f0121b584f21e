"""
Hashes that anyone can reverse. For tests only, where a thousand sign-ups should take no time.

They verify like all others, so a database with such hashes works but protects nobody; `czo-auth doctor` counts them.
"""

from czo_auth.crypto import passwords, tokens
from czo_auth.crypto.codes import BackupCode

_LEAST_BCRYPT_COST = 4
_LEAST_MEMORY_KIB = 8


def weak_password_hash(password: str) -> str:
    """Hash *password* with the least that Argon2id takes: microseconds instead of milliseconds."""
    from argon2 import low_level

    return low_level.hash_secret(
        passwords.normalize(password).encode("utf-8"),
        tokens.random_bytes(passwords.SALT_BYTES),
        time_cost=1,
        memory_cost=_LEAST_MEMORY_KIB,
        parallelism=1,
        hash_len=passwords.HASH_BYTES,
        type=low_level.Type.ID,
    ).decode("ascii")


def weak_code_hash(code: BackupCode) -> str:
    """Hash the secret of *code* at bcrypt's least cost."""
    import bcrypt

    return bcrypt.hashpw(code.secret.encode("ascii"), bcrypt.gensalt(_LEAST_BCRYPT_COST)).decode("ascii")
