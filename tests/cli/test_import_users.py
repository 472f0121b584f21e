"""``czo-auth users import``."""

from __future__ import annotations

import json

import bcrypt
import httpx

from tests.cli.shell import Shell
from tests.conftest import StartServer

PASSWORD = "the one from the old shop"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def line(email: str = "ada@example.com", **more: object) -> str:
    return json.dumps({"email": email, "name": "Ada", "passwordHash": HASH} | more) + "\n"


def test_user_signs_in_with_the_password_of_before_and_is_rehashed(
    start_server: StartServer, database_url: str
) -> None:
    key = {"AUTH_ENCRYPTION_KEY": "k1:NZ8cLu1Mn0ZQxkLgJgyE4M2QUjwpfHYGvPHGYlqUKxg="}
    server = start_server(env=key, database_url=database_url)
    shell = Shell(server.data_directory, env=key | {"CZO_AUTH_DATABASE_URL": database_url})
    done = shell.run(
        "users", "import", stdin=line("Ada@Example.com", emailVerified=True, actorTypes=["merchant"])
    )
    assert done.stdout == "1 users were imported, 0 lines were refused\n"

    for _ in ("with the old hash", "with the new one"):
        answer = httpx.post(
            f"{server.url}/api/auth/merchant/sign-in/email",
            json={"email": "ada@example.com", "password": PASSWORD},
        )
        assert answer.status_code == 200
    assert answer.json()["user"]["emailVerified"] is True
    events = [json.loads(each) for each in shell.run("events", "tail", "--json").stdout.splitlines()]
    assert events[0]["type"] == "auth.user.registered"
    assert events[0]["data"]["imported"] is True
    assert HASH not in json.dumps(events)


def test_lines_that_are_refused_are_named_and_the_others_go_on(shell: Shell) -> None:
    good = line()
    text = (
        good
        + good
        + "\n"
        + "no json\n"
        + line("not an address")
        + line("bo@example.com", passwordHash="md5$nothing")
        + line("bo@example.com", actorTypes=["pirate"])
        + line("bo@example.com", password="secret phrase")
        + line("bo@example.com", passwordHash=None)
    )
    done = shell.run("users", "import", stdin=text, code=1)
    assert done.stdout == "2 users were imported, 6 lines were refused\n"
    told = done.stderr.splitlines()
    assert [each.split(":")[1].strip() for each in told[:6]] == [f"line {n}" for n in (2, 4, 5, 6, 7, 8)]
    assert "secret phrase" not in done.stderr
    assert "md5" not in done.stderr
    users = [json.loads(each) for each in shell.run("users", "list", "--json").stdout.splitlines()]
    assert [user["email"] for user in users] == ["ada@example.com", "bo@example.com"]


def test_line_that_is_too_long_counts_as_one(shell: Shell) -> None:
    text = line("cy@example.com", name="x" * 200_000) + line("not an address") + line("cy@example.com")
    done = shell.run("users", "import", stdin=text, code=1)
    assert done.stdout == "1 users were imported, 2 lines were refused\n"
    assert [told[told.index("line ") :][:7] for told in done.stderr.splitlines()[:2]] == [
        "line 1:",
        "line 2:",
    ]


def test_hash_that_no_password_could_match_is_refused(shell: Shell) -> None:
    """Its owner would be told that their right password is wrong."""
    dear = "$argon2id$v=19$m=9999999,t=9,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaGhhc2g"
    bcrypts = HASH.replace("$04$", "$15$"), HASH.replace("$04$", "$03$")
    text = "".join(line("dee@example.com", passwordHash=one) for one in (dear, *bcrypts))
    done = shell.run("users", "import", stdin=text, code=1)
    assert done.stdout == "0 users were imported, 3 lines were refused\n"
