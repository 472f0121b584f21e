"""Own fields of users, described by a pydantic model of the host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.limits import MAX_USER_FIELDS_BYTES
from czo_auth.core.users.user_fields import refuse_unknown

TAKEN: Final = frozenset(
    {
        "id",
        "email",
        "name",
        "image",
        "emailVerified",
        "twoFactorEnabled",
        "actorTypes",
        "createdAt",
        "updatedAt",
    }
    | {
        "banned",
        "bannedAt",
        "password",
        "passwordHash",
        "organizationName",
        "rememberMe",
        "callbackURL",
        "fields",
    }
)
"""Names that mean something else where own fields appear."""


class ServerOnly:
    """Marks an own field that clients cannot set: ``plan: Annotated[str, server_only] = "free"``."""

    def __repr__(self) -> str:
        return "server_only"


server_only: Final = ServerOnly()


class ModelFields:
    """
    Implements `czo_auth.core.users.user_fields.UserFields` over *model*.

    A field is named as its alias says, else in camelCase, as everywhere in the API.

    Raises:
        ValueError: A name is taken by a field of every user, or two fields have one name.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self._fields = {_name_of(name, field): (name, field) for name, field in model.model_fields.items()}
        if len(self._fields) != len(model.model_fields):
            raise ValueError("two own fields of users have one name")
        if taken := sorted(self._fields.keys() & TAKEN):
            raise ValueError(f"{taken[0]!r} cannot be an own field: every user has one")
        self.names = frozenset(self._fields)
        self._server_only = frozenset(
            name for name, (_, field) in self._fields.items() if _is_server_only(field)
        )
        self._model = model

    def of_new_user(self, given: Mapping[str, object], *, by_host: bool) -> Mapping[str, object] | None:
        """Return the fields of a new user."""
        self._refuse(given, by_host=by_host)
        if by_host and not given:
            return self._defaults()
        return self._validated(given)

    def changed(
        self, stored: Mapping[str, object] | None, given: Mapping[str, object], *, by_host: bool
    ) -> Mapping[str, object]:
        """Return the fields of a user after *given* were changed."""
        self._refuse(given, by_host=by_host)
        before = {name: value for name, value in (stored or {}).items() if name in self.names}
        return self._validated({**before, **given})

    def shown(self, stored: Mapping[str, object] | None) -> Mapping[str, object]:
        """Return every field as it appears in ``user``."""
        defaults = self._defaults()
        return {name: (stored or {}).get(name, defaults.get(name)) for name in self._fields}

    def _refuse(self, given: Mapping[str, object], *, by_host: bool) -> None:
        refuse_unknown(given, self.names)
        forbidden = sorted(given.keys() & self._server_only)
        if forbidden and not by_host:
            raise ValidationFailed(
                details=[(name, "Only the server may set this field.") for name in forbidden]
            )

    def _validated(self, given: Mapping[str, object]) -> Mapping[str, object]:
        own_names = {name: field.alias or attribute for name, (attribute, field) in self._fields.items()}
        try:
            # As JSON: a text for a date is right, and so strict models take what a client can send.
            text = json.dumps({own_names[name]: value for name, value in given.items()}, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise ValidationFailed(details=(("fields", "This must be an object of JSON values."),)) from None
        try:
            checked = self._model.model_validate_json(text)
        except ValidationError as error:
            names = {own: name for name, own in own_names.items()}
            problems = error.errors(include_input=False, include_context=False, include_url=False)
            raise ValidationFailed(details=[_detail(names, problem) for problem in problems[:20]]) from None
        dumped = checked.model_dump(mode="json", by_alias=False)
        values = {name: dumped[field] for name, (field, _) in self._fields.items()}
        if len(json.dumps(values)) > MAX_USER_FIELDS_BYTES:
            raise ValidationFailed(details=(("fields", f"At most {MAX_USER_FIELDS_BYTES} bytes in all."),))
        return values

    def _defaults(self) -> dict[str, object]:
        """Return the defaults of the fields that have one."""
        return {
            name: TypeAdapter(Any).dump_python(field.get_default(call_default_factory=True), mode="json")
            for name, (_, field) in self._fields.items()
            if not field.is_required()
        }


def _detail(names: Mapping[str, str], problem: ErrorDetails) -> tuple[str, str]:
    first, *rest = map(str, problem["loc"] or ("fields",))
    where = ".".join([names.get(first, first), *rest])
    return where[:64], problem["msg"].removeprefix("Value error, ")[:200]


def _name_of(name: str, field: FieldInfo) -> str:
    return field.alias or to_camel(name)


def _is_server_only(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    marked = isinstance(extra, dict) and bool(extra.get("server_only"))
    return marked or any(isinstance(each, ServerOnly) for each in field.metadata)
