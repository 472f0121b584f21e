"""The password policy (S24)."""

from __future__ import annotations

from dataclasses import dataclass

from czo_auth.core.errors import PasswordCompromised, PasswordTooLong, PasswordTooShort
from czo_auth.crypto import passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """
    Attributes:
        min_length, max_length: Characters after NFKC.
        refuse_common: Whether the bundled list of common passwords is asked.

    Source: NIST SP 800-63B-4 section 3.1.1.2.
    """

    min_length: int = passwords.MIN_LENGTH
    max_length: int = passwords.MAX_LENGTH
    refuse_common: bool = True

    def check(self, password: str) -> None:
        """
        Refuse a password that may not be chosen.

        Raises:
            PasswordTooShort, PasswordTooLong: By its length.
            PasswordCompromised: It is on the list.
        """
        chosen = passwords.normalize(password)
        if len(chosen) < self.min_length:
            raise PasswordTooShort(f"The password needs at least {self.min_length} characters.")
        if len(chosen) > self.max_length:
            raise PasswordTooLong(f"The password may have at most {self.max_length} characters.")
        if self.refuse_common and passwords.is_common(chosen):
            raise PasswordCompromised
