"""Trusted devices: a browser that may skip the second step for a while (better-auth-wire, Two-factor; S10)."""

from __future__ import annotations

import pytest

from czo_auth.crypto.tokens import new_token
from tests.contract.api import DEVICE_COOKIE, cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.devices import begin, is_asked, trust
from tests.contract.people import Session
from tests.contract.routes import NOWHERE


async def test_trusted_browser_skips_the_second_step_with_less_assurance(timed: Timed) -> None:
    _, device = await trust(timed, timed.carol)
    assert device is not None
    answer = await begin(timed, timed.carol, device)
    session = Session.of(answer)
    assert (session.body["session"]["aal"], session.body["session"]["amr"]) == (1, ["pwd"])
    cookie = cookies_set_by(answer)[DEVICE_COOKIE]
    assert cookie.value != device, "rotated at each use"
    assert {"httponly", "samesite", "path"} <= cookie.attributes.keys()
    assert is_asked(await begin(timed, timed.carol, device)), "the old token is dead"
    assert not is_asked(await begin(timed, timed.carol, cookie.value))


async def test_several_users_may_trust_one_browser(timed: Timed) -> None:
    """The second one's trust does not end the first one's, and each skips only their own second step."""
    people = timed.prepared.customers[:2]
    cookies: dict[str, str] = {}
    for account in people:
        challenge = await timed.people.challenge(account)
        body = {"code": account.has.code(), "challenge": challenge, "trustDevice": True}
        answer = await timed.api.post("/two-factor/verify", body, cookies=cookies)
        cookies = {DEVICE_COOKIE: cookies_set_by(answer)[DEVICE_COOKIE].value}
    for _ in range(12):
        for account in people:
            answer = await begin(timed, account, cookies[DEVICE_COOKIE])
            assert not is_asked(answer)
            cookies = {DEVICE_COOKIE: cookies_set_by(answer)[DEVICE_COOKIE].value}
    assert cookies[DEVICE_COOKIE].count("czd_") == 2
    assert is_asked(await begin(timed, timed.carol, cookies[DEVICE_COOKIE].split(".")[0]))


async def test_cookie_holds_a_bounded_number_of_tokens(timed_sqlite: Timed) -> None:
    _, device = await trust(timed_sqlite, timed_sqlite.carol)
    assert device is not None
    strangers = ".".join(new_token("czd_") for _ in range(7))
    answer = await begin(timed_sqlite, timed_sqlite.carol, f"{strangers}.{device}")
    assert not is_asked(answer)
    assert cookies_set_by(answer)[DEVICE_COOKIE].value.count("czd_") == 8
    _, device = await trust(timed_sqlite, timed_sqlite.carol)
    assert is_asked(
        await begin(timed_sqlite, timed_sqlite.carol, f"{strangers}.{new_token('czd_')}.{device}")
    )


async def test_nobody_is_trusted_without_asking(timed_sqlite: Timed) -> None:
    challenge = await timed_sqlite.people.challenge(timed_sqlite.carol)
    answer = await timed_sqlite.people.verify(timed_sqlite.carol.has.code(), challenge=challenge)
    assert DEVICE_COOKIE not in cookies_set_by(answer)


async def test_skipped_step_is_no_proof_for_changes(timed: Timed) -> None:
    """S7: such a session must prove the factor before it disables it."""
    _, device = await trust(timed, timed.carol)
    assert device is not None
    session = Session.of(await begin(timed, timed.carol, device))
    body = {"password": timed.carol.password}
    for path in ("/two-factor/disable", "/two-factor/generate-backup-codes"):
        refused(await timed.api.post(path, body, bearer=session.token), 403, "REAUTHENTICATION_REQUIRED")


async def test_administrators_trust_no_browser(timed: Timed) -> None:
    """S10: never for admins by default, whichever actor type signs in."""
    for actor in ("admin", "customer"):
        _, device = await trust(timed, timed.ada, actor)
        assert device is None
        timed.time.advance(minutes=1)


async def test_promotion_ends_the_trust(timed: Timed) -> None:
    _, device = await trust(timed, timed.carol)
    assert device is not None
    await timed.promote(timed.carol)
    assert is_asked(await begin(timed, timed.carol, device))


async def test_setting_lets_administrators_trust(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(trust_mandatory_devices=True)
    _, device = await trust(here, here.ada, "admin")
    assert device is not None
    assert not is_asked(await begin(here, here.ada, device, "admin"))


async def test_trust_lasts_thirty_days_from_its_last_use(timed: Timed) -> None:
    _, device = await trust(timed, timed.carol)
    for _ in range(2):
        assert device is not None
        timed.time.advance(days=29, hours=23)
        answer = await begin(timed, timed.carol, device)
        assert not is_asked(answer)
        device = cookies_set_by(answer)[DEVICE_COOKIE].value
    timed.time.advance(days=30)
    assert device is not None
    assert is_asked(await begin(timed, timed.carol, device))


async def test_cookie_of_somebody_else_is_worth_nothing(timed: Timed) -> None:
    other = timed.prepared.customers[1]
    _, device = await trust(timed, timed.carol)
    assert device is not None
    assert is_asked(await begin(timed, other, device))
    assert is_asked(await begin(timed, timed.carol, "czd_" + "A" * 43))


@pytest.mark.parametrize("change", ["password", "disable and enable", "revoke one", "revoke all"])
async def test_change_of_credentials_ends_the_trust(timed: Timed, change: str) -> None:
    """S10: dropped on any credential change; listed and revocable."""
    people, carol, api = timed.people, timed.carol, timed.api
    session, device = await trust(timed, carol)
    assert device is not None
    listed = accepted(await api.get("/two-factor/trusted-devices", bearer=session.token))
    assert listed["total"] == 1
    assert device not in str(listed)
    match change:
        case "password":
            body = {"currentPassword": carol.password, "newPassword": "another passphrase"}
            accepted(await api.post("/change-password", body, bearer=session.token))
            carol.password = "another passphrase"
        case "disable and enable":
            body = {"password": carol.password}
            accepted(await api.post("/two-factor/disable", body, bearer=session.token))
            await people.enroll(carol, session)
        case "revoke one":
            one = listed["trustedDevices"][0]["id"]
            _, stranger = await people.newcomer()
            for path in (f"/two-factor/trusted-devices/{NOWHERE}", "/two-factor/trusted-devices/x"):
                refused(await api.delete(path, bearer=session.token), 404, "NOT_FOUND")
            answer = await api.delete(f"/two-factor/trusted-devices/{one}", bearer=stranger.token)
            refused(answer, 404, "NOT_FOUND")
            accepted(await api.delete(f"/two-factor/trusted-devices/{one}", bearer=session.token), 204)
        case _:
            accepted(await api.delete("/two-factor/trusted-devices", bearer=session.token), 204)
    assert is_asked(await begin(timed, carol, device))
