"""What each source gives, from databases that its own packages made (`tests.importers.sources`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.importers.moving import FORMATS, import_from, moved
from tests.importers.sources import DJANGO, SOURCES, kept

# Of sources that are read alike one is enough for every run.
EACH = [each if each == "better-auth" else pytest.param(each, marks=pytest.mark.deep) for each in SOURCES]
EACH_BETTER_AUTH = ["better-auth", pytest.param("better-auth-server", marks=pytest.mark.deep)]
EACH_DJANGO = [
    each if each == "django-otp" else pytest.param(each, marks=pytest.mark.deep) for each in DJANGO
]


def outcomes(report: dict[str, dict[str, dict[str, int]]], kind: str) -> tuple[int, int, int]:
    counts = report["counts"][kind]
    return counts["imported"], counts["there"], counts["refused"]


@pytest.mark.parametrize("source", EACH)
async def test_imported_users_sign_in_with_their_password_and_code(
    source: str, shell: Shell, tmp_path: Path
) -> None:
    made = kept(source, tmp_path)
    report = import_from(shell, source, made)
    async with moved(shell.data) as here:
        ben = await here.sign_in("ben")
        uma = await here.sign_in("uma")
        if "totp" not in made.knows:
            assert uma["session"]["aal"] == 1
            return
        assert uma["requires2FA"] is True
        entered = await here.enter_code(uma["challenge"], bytes.fromhex(made.knows["totp"]))
        assert entered["session"]["aal"] == 2
        passkey_is_second_step = source in ("django-allauth", "django-mfa", "django-mfa2")
        assert ben["requires2FA"] is passkey_is_second_step
    assert "new ones" in json.dumps(report["notes"])


@pytest.mark.parametrize("source", EACH)
async def test_second_run_imports_nothing_twice_and_a_dry_run_imports_nothing(
    source: str, shell: Shell, tmp_path: Path
) -> None:
    made = kept(source, tmp_path)
    tried = import_from(shell, source, made, "--dry-run")
    assert shell.json("users", "list") == []
    first = import_from(shell, source, made)
    assert first["counts"] == tried["counts"]
    again = import_from(shell, source, made)
    for kind, counts in again["counts"].items():
        assert counts["imported"] == counts["updated"] == 0, kind
        assert counts["there"] == first["counts"][kind]["imported"], kind


@pytest.mark.parametrize("source", EACH_BETTER_AUTH)
async def test_better_auth_hands_over_keys_organizations_and_passkeys(
    source: str, shell: Shell, tmp_path: Path
) -> None:
    made = kept(source, tmp_path)
    report = import_from(shell, source, made)
    assert outcomes(report, "apiKey") == (2, 0, 1)
    assert outcomes(report, "passkey") == (1, 0, 0)
    assert outcomes(report, "organization") == (1, 0, 0)
    assert outcomes(report, "member") == (2, 0, 0)
    assert "has no prefix" in json.dumps(report["notes"])
    assert {user["email"]: user["banned"] for user in shell.json("users", "list")} == {
        "uma@example.com": False,
        "ben@example.com": False,
        "bad@example.com": True,
    }
    async with moved(shell.data) as here:
        bearer = {"authorization": f"Bearer {made.knows['key']}"}
        principal = (await here.http.get("/api/auth/whoami", headers=bearer)).json()
        assert principal["kind"] == "api_key"
        assert principal["scopes"] == ["orders:read"]
        for unknown in (made.knows["key"][:-1] + "x", made.knows["bare"]):
            refused = await here.http.get("/api/auth/whoami", headers={"authorization": f"Bearer {unknown}"})
            assert refused.status_code == 401


@pytest.mark.parametrize("source", EACH_BETTER_AUTH)
async def test_key_of_an_organization_comes_to_a_service_account_of_it(
    source: str, shell: Shell, tmp_path: Path
) -> None:
    made = kept(source, tmp_path)
    report = import_from(shell, source, made)
    assert "belong to its service account 'Imported keys'" in json.dumps(report["notes"])
    bearer = {"authorization": f"Bearer {made.knows['machine']}"}
    async with moved(shell.data) as here:
        principal = (await here.http.get("/api/auth/whoami", headers=bearer)).json()
    assert principal["userId"] is None
    assert principal["scopes"] == ["stock:read"]
    # Its organization's owners decide over it from now on: a later run gives nothing back.
    organization = principal["organizationId"]
    (account,) = shell.json("service-accounts", "list", organization)
    assert (account["name"], account["scopes"]) == ("Imported keys", ["stock:read"])
    shell.run("service-accounts", "delete", organization, account["id"])
    again = import_from(shell, source, made)
    assert "imported before, and deleted here" in json.dumps(again["notes"])
    assert shell.json("service-accounts", "list", organization) == []
    async with moved(shell.data) as here:
        assert (await here.http.get("/api/auth/whoami", headers=bearer)).status_code == 401


def test_key_whose_prefix_is_not_registered_is_not_taken(shell: Shell, tmp_path: Path) -> None:
    made = kept("better-auth", tmp_path)
    secret = tmp_path / "secret.txt"
    secret.write_text("another secret\n")
    words = ("import", "better-auth", "--from", str(made.path), "--secret-file", str(secret), "--json")
    report = json.loads(shell.run(*words).stdout)
    assert outcomes(report, "apiKey") == (0, 0, 3)
    told = json.dumps(report["notes"])
    assert "CZO_AUTH_RETIRED_KEY_FORMATS does not list the prefix shop_" in told
    assert "does not open with the secret that was given" in told
    assert outcomes(report, "totp") == (0, 0, 0)


def test_sealed_secrets_without_the_secret_stop_the_import(shell: Shell, tmp_path: Path) -> None:
    made = kept("better-auth", tmp_path)
    refused = shell.run("import", "better-auth", "--from", str(made.path), code=1)
    assert "--secret-file" in refused.stderr


async def test_key_that_was_revoked_here_and_user_who_left_do_not_come_back(
    shell: Shell, tmp_path: Path
) -> None:
    made = kept("better-auth", tmp_path)
    import_from(shell, "better-auth", made)
    bearer = {"authorization": f"Bearer {made.knows['key']}"}
    async with moved(shell.data) as here:
        key_id = (await here.http.get("/api/auth/whoami", headers=bearer)).json()["apiKeyId"]
    shell.run("api-keys", "revoke", key_id)
    shell.run("users", "delete", "ben@example.com", "--reason", "asked for it")
    again = import_from(shell, "better-auth", made)
    assert outcomes(again, "apiKey")[0] == 0
    assert "imported before, and deleted here" in json.dumps(again["notes"])
    emails = {user["email"] for user in shell.json("users", "list")}
    assert "ben@example.com" not in emails
    async with moved(shell.data) as here:
        assert (await here.http.get("/api/auth/whoami", headers=bearer)).status_code == 401


@pytest.mark.parametrize("source", EACH_DJANGO)
def test_short_secrets_get_a_term_and_what_cannot_be_taken_is_named(
    source: str, shell: Shell, tmp_path: Path
) -> None:
    report = import_from(shell, source, kept(source, tmp_path), "--renew-days", "30")
    reported = json.dumps(report["notes"])
    assert "less than 128 bits: to be renewed by 20" in reported
    assert "hashes of md5 cannot be verified" in reported
    assert "there is no address" in reported
    if source == "django-otp":
        assert "other digits or steps" in reported
        assert outcomes(report, "totp") == (2, 0, 0)


async def test_term_is_shown_to_the_user(shell: Shell, tmp_path: Path) -> None:
    import_from(shell, "django-otp", kept("django-otp", tmp_path))
    async with moved(shell.data) as here:
        cat = await here.sign_in("cat")
        await here.enter_code(cat["challenge"], b"ten  bytes")
        status = (await here.http.get("/api/auth/two-factor")).json()
        assert status["enabled"] is True
        assert status["renewBy"] is not None
        assert status["backupCodesRemaining"] == 0


async def test_somebody_who_signed_up_with_the_address_gets_nothing(shell: Shell, tmp_path: Path) -> None:
    async with moved(shell.data) as here:
        account = {"email": "uma@example.com", "name": "Mallory", "password": "a sentence of mallory"}
        assert (await here.http.post("/api/auth/sign-up/email", json=account)).status_code == 200
        made = kept("better-auth", tmp_path)
        report = import_from(shell, "better-auth", made)
        # Only the organization's key comes: it belongs to no person.
        assert outcomes(report, "apiKey")[0] == 1
        own, of_organization = [
            await here.http.get("/api/auth/whoami", headers={"authorization": f"Bearer {made.knows[name]}"})
            for name in ("key", "machine")
        ]
        assert own.status_code == 401
        assert of_organization.json()["userId"] is None
    assert outcomes(report, "user") == (2, 0, 1)
    assert "never confirmed it" in json.dumps(report["notes"])
    assert outcomes(report, "member") == (1, 0, 1)


def test_source_is_opened_for_reading_only(shell: Shell, tmp_path: Path) -> None:
    made = kept("django-otp", tmp_path)
    before = made.path.read_bytes()
    made.path.chmod(0o400)
    import_from(shell, "django-otp", made)
    assert made.path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("import", "nothing", "--from", "x.db"), "no source is called nothing"),
        (("import", "django-otp", "--from", "missing.db"), "there is no file missing.db"),
        (("import", "json-lines", "--from", "missing.jsonl"), "missing.jsonl cannot be read"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(shell: Shell, words: tuple[str, ...], reported: str) -> None:
    done = shell.run(*words, code=2 if "nothing" in words else 1)
    assert reported in done.stderr


async def test_json_lines_bring_everything_that_a_database_does(shell: Shell, tmp_path: Path) -> None:
    digest = "6dc2f6a97dfa1a3f0c64ed2b76dd1b5a4e3d2b6ffcd0a4f4c7b7b1a5b3c1d0e9"
    account = {
        "externalId": "17",
        "email": "uma@example.com",
        "name": "Uma",
        "passwordHash": None,
        "emailVerified": True,
        "totpSecret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "apiKeys": [{"id": "1", "digest": digest, "prefix": "shop_", "name": "orders"}],
        "passkeys": [{"credentialId": "AQID", "publicKey": "AQID"}],
    }
    machine = {
        "id": "2",
        "digest": digest[::-1],
        "prefix": "shop_",
        "name": "warehouse",
        "scopes": ["stock:read"],
    }
    members = {"17": "owner", "99": "member"}
    shop = {"id": "3", "name": "Shop", "slug": "shop", "members": members, "apiKeys": [machine]}
    broken = {**account, "externalId": "18", "email": "bo@example.com", "totpSecret": "1"}
    file = tmp_path / "accounts.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in (account, shop, broken)) + "\nno json\n")
    words = ("import", "json-lines", "--from", str(file), "--json")
    report = json.loads(shell.run(*words, env=FORMATS).stdout)
    assert {kind: outcomes(report, kind) for kind in report["counts"]} == {
        "user": (1, 0, 2),
        "totp": (1, 0, 0),
        "passkey": (1, 0, 0),
        "apiKey": (2, 0, 0),
        "organization": (1, 0, 0),
        "member": (1, 0, 1),
    }
    assert [note["id"] for note in report["notes"]][-2:] == ["line 3", "line 4"]
    assert digest not in json.dumps(report)


@pytest.mark.deep
def test_accounts_come_into_postgresql_as_into_sqlite(postgres_url: str, tmp_path: Path) -> None:
    key = {"AUTH_ENCRYPTION_KEY": "k1:NZ8cLu1Mn0ZQxkLgJgyE4M2QUjwpfHYGvPHGYlqUKxg="}
    shell = Shell(tmp_path / "data", env=key | {"CZO_AUTH_DATABASE_URL": postgres_url})
    shell.run("migrate")
    for source in ("better-auth", "django-allauth"):
        folder = tmp_path / source
        folder.mkdir()
        made = kept(source, folder)
        tried = import_from(shell, source, made, "--dry-run")
        first = import_from(shell, source, made)
        assert first["counts"] == tried["counts"]
        assert first["counts"]["totp"]["imported"] > 0
        again = import_from(shell, source, made)
        assert {counts["imported"] for counts in again["counts"].values()} == {0}
