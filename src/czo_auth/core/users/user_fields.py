"""The host's own fields of users: the port to the model that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from czo_auth.core.errors import ValidationFailed


class UserFields(Protocol):
    """
    Checks and shows own fields. Values are JSON; names are those of the API.

    Promise: a field that is wrong, unknown or not the caller's to set is refused by its name.
    """

    @property
    def names(self) -> frozenset[str]:
        """The names of all own fields."""

    def of_new_user(self, given: Mapping[str, object], *, by_host: bool) -> Mapping[str, object] | None:
        """
        Return the fields of a new user, with the defaults of those that were not given.

        Args:
            by_host: Whether the host's code or an operator gives them, who may set every field and leave any out.

        Raises:
            ValidationFailed: Invalid field.
        """

    def changed(
        self, stored: Mapping[str, object] | None, given: Mapping[str, object], *, by_host: bool
    ) -> Mapping[str, object]:
        """
        Return the fields of a user after *given* were changed.

        Raises:
            ValidationFailed: Invalid field.
        """

    def shown(self, stored: Mapping[str, object] | None) -> Mapping[str, object]:
        """Return every field as it appears in ``user``: null where there is neither value nor default."""


class NoUserFields:
    """A deployment without own fields."""

    names: Final = frozenset[str]()

    def of_new_user(self, given: Mapping[str, object], *, by_host: bool) -> Mapping[str, object] | None:
        """Refuse every field."""
        refuse_unknown(given, self.names)
        return None

    def changed(
        self, stored: Mapping[str, object] | None, given: Mapping[str, object], *, by_host: bool
    ) -> Mapping[str, object]:
        """Refuse every field."""
        refuse_unknown(given, self.names)
        return {}

    def shown(self, stored: Mapping[str, object] | None) -> Mapping[str, object]:
        """Show none."""
        return {}


NO_USER_FIELDS: Final = NoUserFields()


def refuse_unknown(given: Mapping[str, object], names: frozenset[str]) -> None:
    """
    Refuse unknown fields.

    Raises:
        ValidationFailed: With the name of each.
    """
    unknown = sorted(given.keys() - names)
    if unknown:
        raise ValidationFailed(
            details=[(name[:64], "Extra inputs are not permitted") for name in unknown[:20]]
        )
