"""``czo-auth users import``."""

from __future__ import annotations

import json
import re

import bcrypt
import httpx

from tests.cli.inside import Inside
from tests.cli.shell import Shell
from tests.conftest import StartServer

PASSWORD = "the one from the old shop"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def line(email: str = "ada@example.com", **more: object) -> str:
    return json.dumps({"email": email, "name": "Ada", "passwordHash": HASH} | more) + "\n"


def test_user_signs_in_with_the_imported_password_which_is_rehashed(
    start_server: StartServer, database_url: str
) -> None:
    key = {"AUTH_ENCRYPTION_KEY": "k1:NZ8cLu1Mn0ZQxkLgJgyE4M2QUjwpfHYGvPHGYlqUKxg="}
    server = start_server(env=key, database_url=database_url)
    shell = Shell(server.data_directory, env=key | {"CZO_AUTH_DATABASE_URL": database_url})
    done = shell.run(
        "users", "import", stdin=line("Ada@Example.com", emailVerified=True, actorTypes=["merchant"])
    )
    assert done.stdout == "1 users were imported, 0 updated, 0 unchanged, 0 lines were refused\n"

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


def test_refused_lines_are_named_and_the_others_are_processed(shell: Shell) -> None:
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
    assert done.stdout == "2 users were imported, 0 updated, 1 unchanged, 5 lines were refused\n"
    reported = done.stderr.splitlines()
    assert [each.split(":")[1].strip() for each in reported[:5]] == [f"line {n}" for n in (4, 5, 6, 7, 8)]
    assert "secret phrase" not in done.stderr
    assert "md5" not in done.stderr
    users = [json.loads(each) for each in shell.run("users", "list", "--json").stdout.splitlines()]
    assert [user["email"] for user in users] == ["ada@example.com", "bo@example.com"]


def test_refused_line_is_reported_with_the_field_that_is_wrong(shell: Shell) -> None:
    text = line(phone="+33 1") + line("not an address") + line(name=" ") + line(createdAt="2020-01-01")
    reported = shell.run("users", "import", stdin=text, code=1).stderr.splitlines()
    fields = [each.split(": ")[2] for each in reported[:4]]
    assert fields == ["phone", "email", "name", "createdAt"]


def test_line_that_is_too_long_counts_as_one(shell: Shell) -> None:
    text = line("cy@example.com", name="x" * 200_000) + line("not an address") + line("cy@example.com")
    done = shell.run("users", "import", stdin=text, code=1)
    assert done.stdout == "1 users were imported, 0 updated, 0 unchanged, 2 lines were refused\n"
    assert [reported[reported.index("line ") :][:7] for reported in done.stderr.splitlines()[:2]] == [
        "line 1:",
        "line 2:",
    ]


def test_hash_that_no_password_could_match_is_refused(shell: Shell) -> None:
    """Its owner would be told that their right password is wrong."""
    dear = "$argon2id$v=19$m=9999999,t=9,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaGhhc2g"
    bcrypts = HASH.replace("$04$", "$15$"), HASH.replace("$04$", "$03$")
    text = "".join(line("dee@example.com", passwordHash=one) for one in (dear, *bcrypts))
    done = shell.run("users", "import", stdin=text, code=1)
    assert done.stdout == "0 users were imported, 0 updated, 0 unchanged, 3 lines were refused\n"


def imported(shell: Shell, text: str, *more: str, code: int = 0) -> dict[str, int]:
    """Import *text*; gives the counts that are printed."""
    said = shell.run("users", "import", *more, stdin=text, code=code).stdout
    words = ("imported", "updated", "unchanged", "refused")
    numbers = [int(number) for number in re.findall(r"[0-9]+", said)]
    return dict(zip(words, numbers, strict=True))


def test_same_file_may_be_given_again(shell: Shell) -> None:
    text = line("ada@example.com", externalId="7") + line("bo@example.com")
    assert imported(shell, text) == {"imported": 2, "updated": 0, "unchanged": 0, "refused": 0}
    assert imported(shell, text) == {"imported": 0, "updated": 0, "unchanged": 2, "refused": 0}
    events = len(shell.json("events", "tail"))
    changed = (
        line("ada@example.com", name="Ada King", externalId="7", emailVerified=True)
        + line("bo@example.com", externalId="8", banned=True)
        + line("cy@example.com")
    )
    assert imported(shell, changed) == {"imported": 1, "updated": 2, "unchanged": 0, "refused": 0}
    assert imported(shell, changed) == {"imported": 0, "updated": 0, "unchanged": 3, "refused": 0}
    ada, bo = shell.one("users", "show", "ada@example.com"), shell.one("users", "show", "bo@example.com")
    assert (ada["name"], ada["emailVerified"], ada["banned"], bo["banned"]) == ("Ada King", True, False, True)
    # What the file no longer says is not taken back.
    assert imported(shell, line("bo@example.com", emailVerified=False))["unchanged"] == 1
    assert shell.one("users", "show", "bo@example.com")["banned"]
    assert len(shell.json("events", "tail")) > events


def test_ban_time_and_id_of_the_other_system_are_taken(shell: Shell, inside: Inside) -> None:
    text = line(
        "ada@example.com", banned=True, createdAt="2019-05-04T10:00:00.123456+02:00", externalId="old-7"
    )
    assert imported(shell, text)["imported"] == 1
    user = shell.one("users", "show", "ada@example.com")
    assert user["banned"]
    assert user["createdAt"] == "2019-05-04T08:00:00.123Z"
    found = inside.run(lambda auth: auth.users.find(external_id="old-7"))
    assert found is not None
    assert (found.id, found.external_id) == (user["id"], "old-7")


def test_fields_that_make_no_sense_are_refused(shell: Shell) -> None:
    assert imported(shell, line("ada@example.com", externalId="7"))["imported"] == 1
    bad = (
        line("bo@example.com", externalId="7")
        + line("bo@example.com", externalId="")
        + line("bo@example.com", externalId="x" * 256)
        + line("bo@example.com", externalId="a\nb")
        + line("bo@example.com", createdAt="2999-01-01T00:00:00Z")
        + line("bo@example.com", createdAt="2019-01-01T00:00:00")
        + line("bo@example.com", createdAt="yesterday")
        + line("bo@example.com", banned="yes")
    )
    assert imported(shell, bad, code=1) == {"imported": 0, "updated": 0, "unchanged": 0, "refused": 8}


def test_administrators_are_made_on_purpose_only(shell: Shell) -> None:
    text = line("ada@example.com", actorTypes=["admin"])
    done = shell.run("users", "import", stdin=text, code=1)
    assert "--allow-actor-type admin" in done.stderr
    assert imported(shell, text, "--allow-actor-type", "admin")["imported"] == 1
    assert "admin" in shell.one("users", "show", "ada@example.com")["actorTypes"]


def test_file_may_begin_with_a_byte_order_mark(shell: Shell) -> None:
    assert imported(shell, "\ufeff" + line("ada@example.com"))["imported"] == 1
