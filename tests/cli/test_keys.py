"""``czo-auth keys``, and what a wrong ring does to every start (S11, S14)."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta

import httpx
import pytest

from czo_auth.crypto import totp
from czo_auth.crypto.sealing import KeyRing
from czo_auth.runtime import utc_now
from czo_auth.settings import DATABASE_FILE, KEY_FILE
from czo_auth.storage.migrations import HEAD
from tests.cli.inside import Inside, put_enrollment
from tests.cli.shell import PASSWORD, Shell
from tests.conftest import StartServer

K1 = "k1:NZ8cLu1Mn0ZQxkLgJgyE4M2QUjwpfHYGvPHGYlqUKxg="
K2 = "k2:mY2H5yqL0c9vPnZk3nq6u8mJY0cQm2kqVYx2QzLrM7o="


def test_generated_key_is_new_each_time_and_changes_nothing(fresh: Shell) -> None:
    texts = {fresh.run("keys", "generate").stdout.strip() for _ in range(2)}
    assert len(texts) == 2
    assert all(KeyRing.parse(text).kids == ("k1",) for text in texts)
    assert not fresh.data.exists()


def test_generated_key_has_an_id_that_the_ring_does_not_have(fresh: Shell) -> None:
    ring = {"AUTH_ENCRYPTION_KEY": K1.replace("k1:", "k7:")}
    (new,) = fresh.run("keys", "generate", env=ring).stdout.split()
    assert KeyRing.parse(f"{new},{ring['AUTH_ENCRYPTION_KEY']}").kids == ("k8", "k7")
    assert fresh.run("keys", "generate", "--kid", "2026-11").stdout.startswith("2026-11:")
    fresh.run("keys", "generate", "--kid", "not an id", code=2)


def test_generated_key_is_read_again_from_the_key_file(shell: Shell) -> None:
    assert shell.run("keys", "generate").stdout.startswith("k2:")


def test_status_counts_rows_by_key_and_kind(shell: Shell, inside: Inside) -> None:
    user = shell.create("ada@example.com")
    inside.give_factor(user["id"])
    inside.run(lambda auth: put_enrollment(auth, user["id"], with_codes=True))
    (counted,) = shell.json("keys", "status")
    assert (counted["kid"], counted["primary"], counted["configured"]) == ("k1", True, True)
    assert (counted["factors"], counted["enrolments"], counted["signingKeys"], counted["total"]) == (
        1,
        1,
        1,
        3,
    )
    table = shell.run("keys", "status").stdout.splitlines()
    assert table[1] == "k1\tyes\tyes\t1\t1\t1\t0\t3"


def test_everything_moves_to_the_primary_key_while_the_server_runs(
    start_server: StartServer, database_url: str
) -> None:
    both = {"AUTH_ENCRYPTION_KEY": f"{K2},{K1}", "CZO_AUTH_TOTP_DRIFT": "10"}
    place = {"CZO_AUTH_DATABASE_URL": database_url}
    server = start_server(env=both, database_url=database_url)
    old = Shell(server.data_directory, env=place | {"AUTH_ENCRYPTION_KEY": f"{K1},{K2}"})
    new = Shell(server.data_directory, env=place | both)
    inside = Inside(server.data_directory, key=f"{K1},{K2}", database_url=database_url)
    ada = old.create("ada@example.com")
    bob = old.create("bob@example.com")
    secret = inside.give_factor(ada["id"])
    inside.run(lambda auth: put_enrollment(auth, bob["id"], with_codes=True))
    assert {key["kid"]: key["total"] for key in old.json("keys", "status")} == {"k1": 2, "k2": 1}

    codes = _codes(secret)
    with ThreadPoolExecutor(1) as pool:
        rotating = pool.submit(new.one, "keys", "rotate")
        signed_in = [_sign_in(server.url, codes.pop())]
        while not rotating.done() and len(codes) > 1:
            signed_in.append(_sign_in(server.url, codes.pop()))
    signed_in.append(_sign_in(server.url, codes.pop()))
    assert set(signed_in) == {200}
    assert rotating.result() == {"primary": "k2", "moved": 2, "left": 0}
    assert {key["kid"]: key["total"] for key in new.json("keys", "status")} == {"k2": 3, "k1": 0}
    assert new.one("keys", "rotate")["moved"] == 0

    only_new = Shell(server.data_directory, env=place | {"AUTH_ENCRYPTION_KEY": K2})
    assert [key["kid"] for key in only_new.json("keys", "status")] == ["k2"]


def _codes(secret: bytes) -> list[str]:
    """Give codes to use once each from the end; the server accepts ten steps on either side."""
    now = totp.step_at(utc_now())
    return [totp.hotp(secret, step) for step in range(now + 9, now - 10, -1)]


def _sign_in(url: str, code: str) -> int:
    with httpx.Client(base_url=f"{url}/api/auth", timeout=30) as client:
        body = {"email": "ada@example.com", "password": PASSWORD}
        challenge = client.post("/customer/sign-in/email", json=body).json()["challenge"]
        client.cookies.clear()
        return client.post("/two-factor/verify", json={"challenge": challenge, "code": code}).status_code


def test_verification_fails_and_names_the_row_that_does_not_open(shell: Shell, inside: Inside) -> None:
    users = [shell.create(f"{name}@example.com")["id"] for name in ("ada", "bob")]
    for user in users:
        inside.give_factor(user)
    verified = {rows["kind"]: rows for rows in shell.json("keys", "verify")}
    assert (verified["factors"]["checked"], verified["factors"]["failed"]) == (2, 0)
    assert verified["signing keys"]["checked"] == 1
    with closing(sqlite3.connect(shell.data / DATABASE_FILE, isolation_level=None)) as database:
        # Sealed for somebody else, as when rows are swapped.
        swap = """UPDATE czo_auth_factors SET sealed_secret =
            (SELECT sealed_secret FROM czo_auth_factors WHERE user_id = ?) WHERE user_id = ? RETURNING id"""
        ((swapped,),) = database.execute(swap, users).fetchall()
        (sealed,) = database.execute("SELECT sealed_secret FROM czo_auth_factors").fetchone()
    done = shell.run("keys", "verify", "--json", code=1)
    (factors,) = [rows for rows in map(json.loads, done.stdout.splitlines()) if rows["kind"] == "factors"]
    assert (factors["checked"], factors["failed"]) == (2, 1)
    assert swapped in str(factors["failedIds"])
    assert "1 sealed rows do not open" in done.stderr
    assert sealed not in done.stdout + done.stderr


@pytest.mark.deep
def test_key_that_still_seals_rows_cannot_be_taken_out(fresh: Shell) -> None:
    fresh.run("migrate", env={"AUTH_ENCRYPTION_KEY": K1})
    fresh.run("users", "list", env={"AUTH_ENCRYPTION_KEY": K1})
    for words in (("serve", "--port", "0"), ("users", "list"), ("keys", "rotate")):
        said = fresh.run(*words, env={"AUTH_ENCRYPTION_KEY": K2}, code=2).stderr
        assert "AUTH_ENCRYPTION_KEY lacks the key 'k1', which still seals 1 rows" in said


def test_row_that_does_not_open_is_left_as_it_is_and_said(fresh: Shell) -> None:
    old = Shell(fresh.data, env={"AUTH_ENCRYPTION_KEY": K1})
    old.run("migrate")
    user = old.create("ada@example.com")
    Inside(fresh.data, key=K1).give_factor(user["id"])
    query = "SELECT sealed_secret FROM czo_auth_factors"
    with closing(sqlite3.connect(fresh.data / DATABASE_FILE, isolation_level=None)) as database:
        # Sealed for another enrollment, as when rows are swapped.
        database.execute("UPDATE czo_auth_factors SET id = '01a20477-fa34-75d4-94b8-1094df51c696'")
        (before,) = database.execute(query).fetchone()
        done = fresh.run("keys", "rotate", env={"AUTH_ENCRYPTION_KEY": f"{K2},{K1}"}, code=1)
        assert "1 rows were re-encrypted with k2, 1 are left" in done.stdout
        assert "left as they are" in done.stderr
        assert database.execute(query).fetchone() == (before,)


BAD_KEYS = {
    "missing": "",
    "malformed": "k1:tooshort",
    "all zeros": f"k1:{'A' * 43}=",
    "not base64": "k1:" + "!" * 44,
    "another key under the same id": "k1:" + K2.partition(":")[2],
    "a ring with a bad entry": f"{K1},k2:nonsense",
}
MALFORMED_TOO = {"all zeros", "not base64", "a ring with a bad entry"}
"""Refused where "malformed" is, and tried one by one in tests/crypto/test_sealing.py without a process each."""


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        *(
            pytest.param(
                text, "production", id=name, marks=[pytest.mark.deep] if name in MALFORMED_TOO else []
            )
            for name, text in BAD_KEYS.items()
        ),
        pytest.param(BAD_KEYS["missing"], "development", id="missing in development"),
        pytest.param(
            BAD_KEYS["another key under the same id"], "development", id="another key in development"
        ),
    ],
)
def test_bad_key_stops_the_start_with_a_sentence_that_names_it(
    started_with_k1: Shell, text: str, environment: str
) -> None:
    env = {
        "AUTH_ENCRYPTION_KEY": text,
        "CZO_AUTH_ENVIRONMENT": environment,
        "CZO_AUTH_BASE_URL": "https://auth.example.com",
    }
    done = started_with_k1.run("serve", "--port", "0", env=env, code=2)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("czo-auth: ")
    assert "AUTH_ENCRYPTION_KEY" in line
    assert not any(len(part) > 6 and part in line for part in re.split(r"[:,]", text))


@pytest.fixture(scope="module")
def started_with_k1(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A database whose key is K1; the tests only fail to open it."""
    shell = Shell(tmp_path_factory.mktemp("started") / "data")
    for command in (("migrate",), ("users", "list")):
        shell.run(*command, env={"AUTH_ENCRYPTION_KEY": K1})
    return shell


def test_key_that_is_gone_is_missed_when_there_is_a_database(shell: Shell) -> None:
    (shell.data / KEY_FILE).unlink()
    for command in (("serve", "--port", "0"), ("users", "list")):
        said = shell.run(*command, code=2).stderr
        assert "AUTH_ENCRYPTION_KEY" in said
        assert str(shell.data / KEY_FILE) in said
    assert not (shell.data / KEY_FILE).exists()


def test_no_key_is_made_for_a_database_elsewhere(fresh: Shell) -> None:
    elsewhere = f"sqlite:///{fresh.data.parent / 'other.sqlite3'}"
    done = fresh.run("serve", "--port", "0", "--database-url", elsewhere, code=2)
    assert "AUTH_ENCRYPTION_KEY is missing" in done.stderr
    assert not fresh.data.exists()


def test_production_makes_no_key_by_itself(fresh: Shell) -> None:
    done = fresh.run("serve", "--port", "0", env={"CZO_AUTH_ENVIRONMENT": "production"}, code=2)
    assert "AUTH_ENCRYPTION_KEY is missing" in done.stderr
    assert not fresh.data.exists()


def test_processes_that_start_together_make_one_key(fresh: Shell) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: fresh.run("migrate"), range(4)))
    assert sum("made an encryption key" in each.stderr for each in done) >= 1
    assert {each.stdout for each in done} <= {
        f"the tables are at {HEAD}\n",
        f"the tables went from None to {HEAD}\n",
    }
    assert sorted(os.listdir(fresh.data))[0].startswith("czo-auth.db")
    assert [name for name in os.listdir(fresh.data) if name.startswith(KEY_FILE)] == [KEY_FILE]
    assert (fresh.data / KEY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.deep
def test_signing_keys_rotate_now_or_six_minutes_later(shell: Shell) -> None:
    shell.create("ada@example.com")
    before = utc_now()
    waiting, at_once = (shell.one("keys", "rotate-signing", *more) for more in ((), ("--now",)))
    assert waiting["kid"] != at_once["kid"]
    ahead = datetime.fromisoformat(waiting["signsFrom"]) - before
    assert timedelta(seconds=359) <= ahead <= timedelta(minutes=8)
    assert datetime.fromisoformat(at_once["signsFrom"]) - before <= timedelta(minutes=2)
    assert "signs from" in shell.run("keys", "rotate-signing").stdout
