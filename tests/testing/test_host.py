"""What ``czo_auth.testing`` gives a host's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import Depends, FastAPI
from pydantic import SecretStr

from czo_auth import Auth, AuthMiddleware, Event, Principal, Settings, StartRefused
from czo_auth.core.errors import UserAlreadyExists
from czo_auth.crypto.sealing import new_key_text
from czo_auth.testing import AuthHost, MovableClock, hosted
from czo_auth.testing.replacements import CapturedMails, InsecureHashing

life: list[str] = []
reported: list[str] = []


@asynccontextmanager
async def own_lifespan(_: FastAPI) -> AsyncIterator[None]:
    life.append("begun")
    yield
    life.append("over")


def _settings(folder: Path, **others: object) -> Settings:
    return Settings(
        data_dir=folder / "nowhere",
        encryption_key=SecretStr(new_key_text()),
        base_url="https://shop.example",
        scope_rule={"customer": ["orders:read"], "org:owner": ["orders:*"]},
        **others,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[FastAPI, Auth]:
    """A host with everything at module level, as FastAPI's users write it."""
    auth = Auth(_settings(tmp_path_factory.mktemp("shop")))
    app = FastAPI(lifespan=auth.lifespan(own_lifespan))
    app.mount("/api/auth", auth.app)
    app.add_middleware(AuthMiddleware, auth=auth)

    @auth.on("auth.user.*")
    def note(event: Event) -> None:
        reported.append(event.type)

    reads, administers = auth.require(scopes=["orders:read"]), auth.require(actor="admin", aal=2)

    @app.get("/orders")
    async def orders(reader: Principal = Depends(reads)) -> str:
        return reader.user_id

    @app.get("/admin")
    async def admin(root: Principal = Depends(administers)) -> str:
        return root.user_id

    return app, auth


@pytest.fixture
def auth_under_test(shop: tuple[FastAPI, Auth]) -> tuple[FastAPI, Auth]:
    return shop


async def test_people_act_as_who_they_are(auth_host: AuthHost) -> None:
    ada, root = await auth_host.person(), await auth_host.administrator()
    assert (await ada.client.get("/orders")).json() == ada.id
    assert (await root.client.get("/admin")).json() == root.id
    assert (await ada.client.get("/admin")).status_code == 403
    assert (await auth_host.client().get("/orders")).status_code == 401
    assert len(root.backup_codes) == 10
    with pytest.raises(UserAlreadyExists):
        await auth_host.person(email=ada.email)
    with pytest.raises(ValueError, match="no second factor"):
        ada.code()


async def test_each_test_begins_with_nobody(auth_host: AuthHost) -> None:
    assert await auth_host.events() == []
    assert (await auth_host.person()).email == "person1@example.com"


async def test_code_counts_once_so_the_clock_moves_on(auth_host: AuthHost) -> None:
    root = await auth_host.administrator()
    before = auth_host.clock()
    await root.sign_in()
    await root.sign_in()
    assert timedelta(seconds=60) <= auth_host.clock() - before
    assert (await root.client.get("/admin")).json() == root.id


async def test_backup_code_signs_in(auth_host: AuthHost) -> None:
    ada = await auth_host.person(two_factor=True)
    credentials = {"email": ada.email, "password": ada.password}
    begun = await auth_host.ask("POST", "/customer/sign-in/email", json=credentials)
    token = begun.json()["challenge"]
    for code, status in ((ada.backup_codes[0], 200), (ada.backup_codes[0], 401)):
        body = {"challenge": token, "code": code}
        answer = await auth_host.client().post("/api/auth/two-factor/verify-backup-code", json=body)
        assert answer.status_code == status, answer.text


async def test_key_has_its_scopes_and_its_organization(auth_host: AuthHost) -> None:
    ada = await auth_host.person()
    acme = await auth_host.organization(ada)
    key = await auth_host.api_key(ada, scopes=["orders:write"], organization_id=acme)
    assert (await key.client.get("/orders")).json()["code"] == "INSUFFICIENT_SCOPE"
    with pytest.raises(AssertionError, match="SCOPE"):
        await auth_host.api_key(ada, scopes=["orders:write"])
    plain = await auth_host.api_key(ada, scopes=["orders:read"])
    assert (await plain.client.get("/orders")).json() == ada.id
    (first, second) = await auth_host.events("auth.apikey.created")
    assert (first.data["apiKeyId"], second.data["apiKeyId"]) == (key.id, plain.id)


async def test_mails_are_kept_with_their_token(auth_host: AuthHost) -> None:
    ada = await auth_host.person()
    await auth_host.ask("POST", "/request-password-reset", json={"email": ada.email})
    mail = auth_host.mails[-1]
    assert (mail.to, mail.kind) == (ada.email, "password_reset")
    assert mail.token is not None
    ada.password = "another long sentence"
    await auth_host.ask("POST", "/reset-password", json={"token": mail.token, "newPassword": ada.password})
    await ada.sign_in()
    assert (await ada.client.get("/orders")).status_code == 200


async def test_subscribers_get_each_event_once_and_when_told(auth_host: AuthHost) -> None:
    reported.clear()
    await auth_host.person()
    assert reported == []
    await auth_host.deliver_events()
    assert await auth_host.deliver_events() == []
    assert reported == ["auth.user.registered"]


async def test_lifespan_of_the_host_runs_around_the_block(auth_host: AuthHost) -> None:
    life.clear()
    async with auth_host.running():
        assert life == ["begun"]
        ada = await auth_host.person()
        assert (await ada.client.get("/orders")).status_code == 200
    assert life == ["begun", "over"]


def test_clock_is_the_same_and_wants_aware_times(auth_clock: MovableClock, auth_host: AuthHost) -> None:
    assert auth_clock is auth_host.clock
    assert auth_clock.move_to(datetime(2030, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)).microsecond == 123000
    assert auth_host.auth.now() == auth_clock()
    with pytest.raises(ValueError, match="aware"):
        auth_clock.move_to(datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None))


def test_auth_is_itself_again_afterwards(shop: tuple[FastAPI, Auth], tmp_path: Path) -> None:
    app, auth = shop
    settings, now = auth.settings, auth.now

    async def act(host: AuthHost) -> None:
        assert (await (await host.person()).client.get("/orders")).status_code == 200

    with hosted(app, auth) as host:
        assert auth.settings is not settings
        asyncio.run(act(host))
    assert (auth.settings, auth.now) == (settings, now)
    assert not auth.is_started
    assert not settings.data_dir.exists()


def test_nothing_of_the_test_stays_and_nothing_of_before_is_written_to(tmp_path: Path) -> None:
    auth = Auth(_settings(tmp_path))
    before, kept = vars(auth), dict(vars(auth))

    def interrupted() -> None:
        with hosted(auth.app, auth):
            auth.marked = True  # type: ignore[attr-defined]
            assert auth.services is not kept["services"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert vars(auth) is before
    assert before.keys() - kept.keys() <= {"app", "app_state"}, "what was asked for before the block"
    assert all(before[name] is value for name, value in kept.items())


async def test_weak_hashes_never_reach_the_database_of_the_deployment(tmp_path: Path) -> None:
    auth = Auth(_settings(tmp_path))
    weak, beside = InsecureHashing(), CapturedMails(auth.mail_writer)
    with (
        pytest.raises(StartRefused, match="database of its own"),
        auth.replaced(auth.settings, clock=MovableClock(), insecure_hashing=weak, background=beside),
    ):
        raise AssertionError


async def test_deployment_that_is_starting_is_not_taken_over(tmp_path: Path) -> None:
    auth = Auth(_settings(tmp_path))
    starting = asyncio.create_task(auth.start())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="started"), hosted(auth.app, auth):
        raise AssertionError
    await starting
    await auth.stop()


@pytest.fixture
def refusing(tmp_path: Path) -> Auth:
    return Auth(_settings(tmp_path, environment="production"))


def test_production_is_refused(refusing: Auth) -> None:
    with pytest.raises(StartRefused, match="production"), hosted(refusing.app, refusing):
        raise AssertionError


async def test_deployment_that_serves_is_not_taken_over(tmp_path: Path) -> None:
    auth = Auth(_settings(tmp_path))
    await auth.start()
    with pytest.raises(RuntimeError, match="started"), hosted(auth.app, auth):
        raise AssertionError
    await auth.stop()


async def test_hashes_are_as_weak_as_they_can_be(auth_host: AuthHost) -> None:
    ada = await auth_host.person()
    user = await auth_host.auth.administration.get(ada.id)
    assert user.password_hash is not None
    assert user.password_hash.startswith("$argon2id$v=19$m=8,t=1,p=1$")


async def test_application_that_cannot_start_says_so() -> None:
    from czo_auth.testing.lifespan import lifespan_of

    async def broken(scope: object, receive: object, send: object) -> None:
        raise ValueError("no till")

    with pytest.raises(ValueError, match="no till"):
        async with lifespan_of(broken):
            raise AssertionError
