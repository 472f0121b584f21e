"""Silent mistakes are refused when they are made, in sentences that docs/troubleshooting.md explains."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from czo_auth import Auth, Event, Settings
from czo_auth.crypto.sealing import new_key_text
from czo_auth.storage import postgresql_server

TROUBLESHOOTING = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text("utf-8")


def settings(tmp_path: Path, **more: Any) -> Settings:
    return Settings(
        database_url=f"sqlite:///{tmp_path}/a.db", encryption_key=SecretStr(new_key_text()), **more
    )


class SynchronousMail:
    def send(self, message: object) -> None: ...


class MailWithoutArgument:
    async def send(self) -> None: ...


class NoMail:
    pass


class GoodMail:
    async def send(self, message: object) -> None: ...


class SynchronousSink:
    name = "mine"

    def deliver(self, event: Event) -> None: ...


class NamelessSink:
    async def deliver(self, event: Event) -> None: ...


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"mail": SynchronousMail()}, "SynchronousMail.send has to exist and be declared with `async def`"),
        ({"mail": NoMail()}, "NoMail.send has to exist and be declared with `async def`"),
        ({"mail": MailWithoutArgument()}, "MailWithoutArgument.send has to take one argument"),
        (
            {"sinks": [SynchronousSink()]},
            "SynchronousSink.deliver has to exist and be declared with `async def`",
        ),
        ({"sinks": [NamelessSink()]}, "NamelessSink needs a name"),
    ],
)
def test_object_that_could_not_be_used_is_refused(
    tmp_path: Path, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TypeError) as refusal:
        Auth(settings(tmp_path), **more)
    assert sentence in str(refusal.value)


def test_objects_that_work_are_taken(tmp_path: Path) -> None:
    class Partial:
        send = staticmethod(partial(GoodMail().send))

    for mail in (GoodMail(), Partial()):
        Auth(settings(tmp_path), mail=mail)  # type: ignore[arg-type]


async def two(event: Event, more: int) -> None: ...


async def none() -> None: ...


async def one(event: Event, *, more: int = 1) -> None: ...


@pytest.mark.parametrize("subscriber", [none, two, lambda: None, 7])
def test_subscriber_that_takes_no_event_is_refused(tmp_path: Path, subscriber: Any) -> None:
    auth = Auth(settings(tmp_path))
    with pytest.raises(TypeError, match="one argument"):
        auth.on("auth.apikey.*")(subscriber)
    assert auth.subscribers.is_empty
    auth.on("*")(one)
    auth.on("*")(lambda event: None)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"custommer": ["orders:read"]}, "did you mean 'customer'"),
        ({"owner": ["orders:read"]}, "'owner', which is neither an actor type nor org:<role>"),
        ({"org:boss": ["orders:read"]}, "'org:boss'"),
        ({"customer": "orders:read"}, "is a list of scopes, not one text"),
        ({"customer": ["orders.read"]}, "holds 'orders.read': scopes have the form resource:action"),
        ({"customer": ["orders"]}, "resource:action"),
        ({"customer": ["or*:read"]}, "resource:action"),
        (lambda held: {"orders:read"}, "two arguments"),
    ],
)
def test_scope_rule_that_grants_nothing_is_refused(tmp_path: Path, rule: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match="scope_rule") as refusal:
        settings(tmp_path, scope_rule=rule)
    assert sentence in str(refusal.value)


def test_scope_rules_that_grant_something_are_taken(tmp_path: Path) -> None:
    settings(tmp_path, scope_rule={"customer": ["orders:read", "stock:*"], "org:owner": ["*"], "admin": []})
    settings(tmp_path, scope_rule=lambda held, role: {"orders:read"})


@pytest.mark.parametrize(
    "sentence",
    [
        "is not a setting: did you mean",
        "names a file that cannot be read",
        "are both set: remove one of them",
        "CZO_AUTH_BASE_URL is missing",
        "must be origins",
        "must not hold a pattern that matches any site",
        "scopes is a list of scopes, not one text",
        "scopes have the form resource:action",
        "no actor type is called",
        "aal is 1 or 2",
        "is not a role",
        "this guard is of another Auth",
        "lacks its parentheses",
        "the application needs AuthMiddleware",
        "has to exist and be declared with `async def`",
        "has to take one argument",
        "no event is called",
        "which is neither an actor type nor org:<role>",
        "refused a request from a page of",
        "PostgreSQL refuses the user or the password",
        "PostgreSQL has no database of the name",
        "lacks a privilege",
        "PostgreSQL has no TLS",
        "PostgreSQL takes no writes here",
        "which PostgreSQL's clients do not know",
        "to an unknown value: it is one of",
        "to something that is not a whole number",
        "for more than czo-auth can do",
        "which czo-auth cannot obey",
        "there is no deployment",
        "is already in use",
        "no setting is called",
    ],
)
def test_sentence_is_explained_in_the_docs(sentence: str) -> None:
    assert sentence in TROUBLESHOOTING


SOURCES = Path(__file__).parents[2] / "src" / "czo_auth"
DISTINCT = 12
"""Characters from which on a part of a sentence says which one it is."""


def _words(text: str) -> str:
    return " ".join(text.split())


def refusals_in(files: Iterable[Path], errors: Collection[str]) -> dict[str, list[str]]:
    """Read the constant parts of each sentence of *errors*, by where it stands; variables alone are left out."""
    found = {}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            if isinstance(node.exc.func, ast.Name) and node.exc.func.id in errors:
                texts = [each.value for each in ast.walk(node.exc) if isinstance(each, ast.Constant)]
                parts = [_words(text).strip(" .,:") for text in texts if isinstance(text, str)]
                if parts := [part for part in parts if len(part) >= DISTINCT]:
                    found[f"{file.relative_to(SOURCES)}:{node.lineno}"] = parts
    return found


def unexplained(refusals: dict[str, list[str]]) -> list[str]:
    explained = _words(TROUBLESHOOTING)
    return [where for where, parts in refusals.items() if not any(part in explained for part in parts)]


def test_every_refusal_of_the_start_is_explained_in_the_docs() -> None:
    refusals = refusals_in(sorted(SOURCES.rglob("*.py")), {"StartRefused"})
    assert len(refusals) > 20
    assert unexplained(refusals) == []


def test_every_refusal_of_a_guard_is_explained_in_the_docs() -> None:
    refusals = refusals_in(
        [SOURCES / "integrations" / "requirement.py"], {"TypeError", "ValueError", "RuntimeError"}
    )
    assert len(refusals) > 10
    assert unexplained(refusals) == []


def test_every_fault_of_postgresql_that_does_not_end_is_explained_in_the_docs() -> None:
    advices = [*postgresql_server._ADVICE.values()] + [
        value
        for value in vars(postgresql_server).values()
        if isinstance(value, str) and value.startswith(("PostgreSQL ", "PostgreSQL's ", "CZO_AUTH_"))
    ]
    assert len(advices) > 12
    explained = _words(TROUBLESHOOTING)
    assert [text for text in advices if text.partition(":")[0] not in explained] == []


def test_auth_takes_settings_as_keyword_arguments(tmp_path: Path) -> None:
    more: dict[str, Any] = {"database_url": f"sqlite:///{tmp_path}/a.db", "encryption_key": new_key_text()}
    assert Auth(base_url="https://shop.example", **more).settings.base_url == "https://shop.example"
    with pytest.raises(TypeError, match="no setting is called 'base_uri': did you mean 'base_url'"):
        Auth(base_uri="https://shop.example", **more)
    with pytest.raises(TypeError, match="base_url belongs in the Settings"):
        Auth(settings(tmp_path), base_url="https://shop.example")
    with pytest.raises(TypeError, match="not str"):
        Auth("https://shop.example")  # type: ignore[arg-type]
