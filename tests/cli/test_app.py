"""The command line on a deployment that stands in code, and on one that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from czo_auth.crypto.sealing import new_key_text
from tests.cli.shell import PASSWORD, Shell

HOST = """
from pathlib import Path
from czo_auth import ActorType, Auth, Settings

def settings():
    return Settings(
        database_url={url!r},
        base_url="https://shop.example",
        base_path="/auth",
        pages_path="/me",
        pages_enabled=True,
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
    # PYTHON… variables make each a process of its own.
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
def test_application_that_is_none_is_named_in_one_sentence(host: Shell, name: str, sentence: str) -> None:
    _, said = run(host, "users", "list", "--app", name, code=2)
    assert sentence in said
    assert len(said.splitlines()) == 1


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
