"""``czo-auth doctor``, as a person and a script run it."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.inside import Inside
from tests.cli.shell import Shell
from tests.support.ports import free_port

PASSWORD = "hunter22"


def states(shell: Shell, code: int = 0, **env: str) -> dict[str, str]:
    done = shell.run("doctor", "--json", code=code, env=env)
    return {finding["id"]: finding["state"] for finding in map(json.loads, done.stdout.splitlines())}


def test_new_deployment_is_shown_what_to_do_and_nothing_is_made(fresh: Shell) -> None:
    done = fresh.run("doctor")
    assert "unknown\tdatabase\t" in done.stdout
    assert "Run `czo-auth serve`" in done.stderr
    assert "OWASP ASVS 5.0" in done.stderr
    assert not fresh.data.exists()
    fresh.run("doctor", "--strict", code=1)


def test_working_deployment_has_no_fault(shell: Shell, inside: Inside) -> None:
    root = shell.create("root@example.com", "--actor-type", "admin")
    inside.give_factor(root["id"])
    files = {file: file.stat().st_mtime_ns for file in shell.data.iterdir() if file.suffix == ".key"}
    found = {finding["id"]: finding for finding in shell.json("doctor")}
    assert {each["state"] for each in found.values()} <= {"ok", "warn"}
    assert found["two-factor-coverage"]["state"] == "ok"
    assert "1 admin, 1 with 2FA" in found["two-factor-coverage"]["found"]
    assert found["cache-bound"]["found"].startswith("0 s")
    assert found["migrations"]["state"] == "ok"
    assert found["two-factor-coverage"]["asvs"] == ["6.3.3"]
    assert files == {file: file.stat().st_mtime_ns for file in files}


def test_faults_are_found_and_end_with_2(shell: Shell) -> None:
    shell.create("ada@example.com")
    os.chmod(shell.data / "encryption.key", 0o644)
    with closing(sqlite3.connect(shell.data / "czo-auth.db")) as connection:
        connection.execute("UPDATE czo_auth_audit SET ip = '192.0.2.1'")
        connection.commit()
    found = states(shell, code=2, CZO_AUTH_TRUSTED_PROXIES="0.0.0.0/0")
    faults = {name for name, state in found.items() if state == "fail"}
    assert faults == {"file-modes", "audit-log", "trusted-proxies"}


def test_wrong_key_is_one_fault(shell: Shell) -> None:
    shell.create("ada@example.com")
    other = shell.run("keys", "generate", "--kid", "k1").stdout.strip()
    found = states(shell, code=2, AUTH_ENCRYPTION_KEY=other)
    assert {name for name, state in found.items() if state == "fail"} == {"sealed-rows"}


def test_database_that_does_not_answer_is_one_fault_and_the_other_checks_continue(
    fresh: Shell, tmp_path: Path
) -> None:
    port = free_port()
    key = fresh.run("keys", "generate").stdout.strip()
    env = {
        "AUTH_ENCRYPTION_KEY": key,
        "CZO_AUTH_DATABASE_URL": f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/x",
        "CZO_AUTH_SMTP_URL": f"smtp://u:{PASSWORD}@127.0.0.1:{port}",
        "CZO_AUTH_RATE_LIMIT_URL": f"redis://:{PASSWORD}@127.0.0.1:{port}/0",
    }
    done = fresh.run("doctor", code=2, env=env)
    said = done.stdout + done.stderr
    faults = {line.split("\t")[1] for line in done.stdout.splitlines() if line.startswith("fail")}
    assert faults == {"database", "mail", "rate-limits"}
    assert "ok\tpassword-hashing" in done.stdout
    assert PASSWORD not in said
    assert key.partition(":")[2] not in said


def test_setting_that_makes_no_sense_is_reported_like_at_a_start(fresh: Shell) -> None:
    proxies = fresh.run("serve", code=2, env={"CZO_AUTH_TRUSTED_PROXIES": "proxy.internal"}).stderr
    assert "CZO_AUTH_TRUSTED_PROXIES: must be addresses" in proxies
    assert "CZO_AUTH_WORKERS" in fresh.run("doctor", code=2, env={"CZO_AUTH_WORKERS": "many"}).stderr


@pytest.mark.parametrize("command", ["serve", "doctor", "users list"])
def test_invalid_address_of_shared_limits_is_reported_and_never_shown(shell: Shell, command: str) -> None:
    for address in (f"nonsense://:{PASSWORD}@x:1", f"redis+cluster://:{PASSWORD}@x:port"):
        done = shell.run(*command.split(), code=2, env={"CZO_AUTH_RATE_LIMIT_URL": address})
        assert "CZO_AUTH_RATE_LIMIT_URL" in done.stderr
        assert PASSWORD not in done.stdout + done.stderr


def test_folder_is_an_option(shell: Shell) -> None:
    other = Shell(Path("/nowhere"))
    assert "at 0" in other.run("doctor", "--data-dir", str(shell.data)).stdout
