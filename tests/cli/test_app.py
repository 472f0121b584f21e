"""The command line on a deployment that stands in code, and on one that does not exist."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from czo_auth.cli.app import app
from czo_auth.crypto.sealing import new_key_text
from tests.cli.shell import PASSWORD, Shell

HOST = """
from pydantic import BaseModel
from czo_auth import ActorType, Auth, Settings

class Fields(BaseModel):
    phone: str | None = None

def settings():
    return Settings(
        database_url={url!r},
        base_url="https://shop.example",
        base_path="/auth",
        pages_path="/me",
        pages_enabled=True,
        user_fields=Fields,
        actor_types=(
            ActorType(name="buyer", sign_up_open=True),
            ActorType(name="staff", requires_two_factor=True, administers=True),
        ),
    )

auth = Auth(settings())

def make():
    return Auth(settings())

class nested:
    auth = auth

nothing = 7
"""


@pytest.fixture
def host(fresh: Shell, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in a folder with a host's code; its environment knows the encryption key and nothing else."""
    folder = fresh.data.parent
    (folder / "a_shop.py").write_text(HOST.format(url=database_url))
    fresh.env.pop("CZO_AUTH_DATA_DIR")
    fresh.env |= {"AUTH_ENCRYPTION_KEY": new_key_text(), "PYTHONPATH": str(folder)}
    return fresh


def run(host: Shell, *words: str, stdin: str = "", code: int = 0) -> tuple[str, str]:
    done = host.run(*words, stdin=stdin, code=code, env={"PYTHONPATH": host.env["PYTHONPATH"]})
    return done.stdout, done.stderr


@pytest.mark.parametrize("name", ["a_shop:auth", "a_shop:make", "a_shop:nested.auth"])
def test_commands_work_on_the_deployment_in_the_code(host: Shell, name: str) -> None:
    run(host, "migrate", "--app", name)
    create = ("users", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin")
    said, _ = run(host, *create, "--actor-type", "staff", "--app", name, stdin=f"{PASSWORD}\n")
    assert "created ada@example.com (buyer, staff)" in said
    host.env["CZO_AUTH_APP"] = name
    link, notes = run(host, "users", "recover", "ada@example.com", "--reason", "lost")
    assert link.startswith("https://shop.example/me/reset-password?token=")
    assert "guess" not in notes
    _, refused = run(host, "users", "grant", "ada@example.com", "--actor-type", "admin", code=1)
    assert refused


@pytest.mark.deep
def test_imported_users_have_the_actor_types_of_the_code(host: Shell) -> None:
    host.env["CZO_AUTH_APP"] = "a_shop:auth"
    run(host, "migrate")
    line = '{"email": "bo@example.com", "name": "Bo", "passwordHash": null}\n'
    run(host, "users", "import", stdin=line)
    said, _ = run(host, "users", "show", "bo@example.com")
    assert "buyer" in said
    assert "customer" not in said


def test_fields_of_the_code_are_shown_with_their_user(host: Shell) -> None:
    host.env["CZO_AUTH_APP"] = "a_shop:auth"
    run(host, "migrate")
    line = '{"email": "bo@example.com", "name": "Bo", "passwordHash": null, "phone": "+33 1"}\n'
    run(host, "users", "import", stdin=line)
    for words in (
        ("show", "bo@example.com"),
        ("list",),
        ("grant", "bo@example.com", "--actor-type", "staff"),
    ):
        said, _ = run(host, "users", *words, "--json")
        assert json.loads(said)["phone"] == "+33 1", words
    said, _ = run(host, "users", "show", "bo@example.com")
    assert "+33 1" in said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a_shop", "has to be module:attribute"),
        ("a_shop:", "has to be module:attribute"),
        ("nowhere_at_all:auth", "cannot be imported"),
        ("a_shop:missing", "cannot be imported"),
        ("a_shop:nothing", "has to be an Auth"),
    ],
)
def test_invalid_application_is_named_in_one_sentence(host: Shell, name: str, sentence: str) -> None:
    _, said = run(host, "users", "list", "--app", name, code=2)
    assert sentence in said
    assert len(said.splitlines()) == 1


# --- every command ---------------------------------------------------------------------------------------------------
WITHOUT = {
    ("demo",): "a deployment of its own",
    ("scan",): "reads files, and no deployment",
    ("login",): "a client of a server",
}
_VALUES = {"--from": "sqlite:///old.db", "source": "better-auth", "backup": "a.backup", "wanted": "10/day"}

_MORE = {("users", "create"): ["--password-stdin"], ("events", "replay"): ["--sink", "queue"]}


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk the commands that do something."""
    for name, each in getattr(command, "commands", {}).items():
        yield from leaves(each, (*words, name))
    if not hasattr(command, "commands"):
        yield words, command


COMMANDS = dict(leaves(typer.main.get_command(app)))


def invoked(words: tuple[str, ...]) -> list[str]:
    """Return how a command is called, with something for all that it demands."""
    line = list(words)
    for parameter in COMMANDS[words].params:
        if parameter.required:
            name = parameter.opts[0]
            line += [*([name] if name.startswith("-") else []), _VALUES.get(name, "x")]
    return [*line, *_MORE.get(words, ())]


def test_every_command_takes_the_application_or_says_why_not() -> None:
    have = {words for words, each in COMMANDS.items() if any("--app" in one.opts for one in each.params)}
    assert set(COMMANDS) - have == set(WITHOUT)


@pytest.mark.parametrize("by", ["option", "variable"])
@pytest.mark.parametrize("words", sorted(set(COMMANDS) - set(WITHOUT)), ids=" ".join)
def test_every_command_asks_the_code_for_its_deployment(
    words: tuple[str, ...], by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process: there are a hundred of them, and the sentence is the same in one of its own."""
    named = f"no_such_shop:{by}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CZO_AUTH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CZO_AUTH_APP", named if by == "variable" else "")
    option = ["--app", named] if by == "option" else []
    done = CliRunner().invoke(app, [*invoked(words), *option], input=f"{PASSWORD}\n")
    assert done.exit_code == 2, done.output
    assert f"CZO_AUTH_APP: {named} cannot be imported: ModuleNotFoundError" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("users", "list"),
        ("users", "show", "ada@example.com"),
        ("users", "recover", "ada@example.com", "--reason", "x"),
        ("users", "create", "--email", "a@example.com", "--name", "A", "--password-stdin"),
        ("users", "import"),
        ("api-keys", "list", "ada@example.com"),
        ("audit", "tail"),
        ("audit", "verify"),
        ("events", "tail"),
        ("keys", "status"),
        ("keys", "rotate"),
    ],
)
def test_only_serve_and_migrate_make_a_deployment(fresh: Shell, words: tuple[str, ...]) -> None:
    done = fresh.run(*words, code=2, stdin=f"{PASSWORD}\n")
    assert f"there is no deployment in {fresh.data}" in done.stderr
    assert done.stdout == ""
    assert not fresh.data.exists()


def test_empty_databases_are_no_deployment(fresh: Shell, database_url: str, tmp_path: Path) -> None:
    key = {"AUTH_ENCRYPTION_KEY": new_key_text(), "CZO_AUTH_DATABASE_URL": database_url}
    done = fresh.run("users", "list", code=2, env=key)
    assert "there is no deployment at " in done.stderr
    assert not (tmp_path / "database.sqlite3").exists()
    fresh.run("migrate", env=key)
    fresh.run("users", "list", env=key)


def test_link_of_a_deployment_without_a_base_url_is_said_to_be_a_guess(shell: Shell) -> None:
    shell.create("ada@example.com")
    done = shell.run("users", "recover", "ada@example.com", "--reason", "lost")
    assert "are a guess" in done.stderr
    shell.env["CZO_AUTH_BASE_URL"] = "https://auth.example"
    done = shell.run("users", "recover", "ada@example.com", "--reason", "lost")
    assert done.stdout.startswith("https://auth.example/")
    assert "guess" not in done.stderr
