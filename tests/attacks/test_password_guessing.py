"""S25: an attacker who guesses a password is slowed down; its owner is not, in the browsers and networks that are
theirs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from czo_auth.core.context import Context, system_context
from czo_auth.core.errors import RateLimited
from czo_auth.core.flows.users.password_guesses import PasswordGuesses
from czo_auth.core.throttle import ACCOUNT_GUESSES, SOURCE_GUESSES, network_of
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import passwords
from tests.contract.api import SESSION_COOKIE, Answer, cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.people import PASSWORD, Account

BROWSER_COOKIE = "czo-auth.known_browser"
OWNER, STRANGER = "203.0.113.7", "198.51.100.9"


@pytest.fixture
async def limited(deploy: Deploy) -> Timed:
    """A deployment with its limits on, behind a proxy that says whom it forwards for."""
    return await deploy(rate_limit_enabled=True, trusted_proxies="127.0.0.1")


async def guess(
    here: Timed,
    email: str,
    password: str = "a wrong guess",
    *,
    ip: str = STRANGER,
    browser: str | None = None,
) -> Answer:
    cookies = None if browser is None else {BROWSER_COOKIE: browser}
    body = {"email": email, "password": password}
    headers = {"x-forwarded-for": ip}
    return await here.api.post("/customer/sign-in/email", body, cookies=cookies, headers=headers)


async def wear_out(here: Timed, email: str, **how: Any) -> dict[str, Any]:
    """Guess until a guess has to wait; give what is answered then."""
    for _ in range(SOURCE_GUESSES.free + 1):
        answer = await guess(here, email, **how)
        if answer.status_code == 429:
            break
        refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")
    return refused(await guess(here, email, **how), 429, "TOO_MANY_REQUESTS")


async def wear_out_account(here: Timed, email: str) -> None:
    """Let so many networks guess that the account itself is at its limit."""
    counting = here.auth.sign_in.guesses
    for number in range(100):
        try:
            await counting.count_sign_in(
                email, browser_token=None, context=Context(now=here.clock(), ip=f"192.0.2.{number}")
            )
        except RateLimited:
            return
    raise AssertionError("an account has no limit")


async def known_browser(here: Timed, account: Account) -> str:
    """Sign in where the owner usually does; give the browser's cookie."""
    answer = await guess(here, account.email, account.password, ip=OWNER)
    cookie = cookies_set_by(answer)[BROWSER_COOKIE]
    assert cookie.attributes["max-age"] == str(90 * 24 * 3600)
    assert {"httponly", "samesite"} <= cookie.attributes.keys()
    return cookie.value


# --- where the owner is ----------------------------------------------------------------------------------------------
async def test_guesses_from_one_network_do_not_keep_the_owner_out(limited: Timed) -> None:
    account = await limited.people.sign_up()
    reported = await wear_out(limited, account.email)
    assert 1 <= reported["retryAfter"] <= 5
    refused(await guess(limited, account.email, PASSWORD), 429, "TOO_MANY_REQUESTS")
    accepted(await guess(limited, account.email, PASSWORD, ip=OWNER))


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_network_is_what_one_customer_has(first: str, second: str, is_same: bool) -> None:
    assert (network_of(first) == network_of(second)) == is_same


async def test_other_address_of_an_ipv6_network_is_the_same_guesser(limited: Timed) -> None:
    account = await limited.people.sign_up()
    await wear_out(limited, account.email, ip="2001:db8:5:6::1")
    answer = await guess(limited, account.email, ip="2001:db8:5:6:dead:beef::2")
    refused(answer, 429, "TOO_MANY_REQUESTS")
    refused(await guess(limited, account.email, ip="2001:db8:5:7::1"), 401, "INVALID_EMAIL_OR_PASSWORD")


@pytest.mark.parametrize("spelling", [str.upper, str.title, lambda email: f"  {email} "])
async def test_other_spelling_of_the_address_is_the_same_account(limited: Timed, spelling: Any) -> None:
    account = await limited.people.sign_up()
    await wear_out(limited, account.email)
    refused(await guess(limited, spelling(account.email)), 429, "TOO_MANY_REQUESTS")


async def test_known_browser_still_signs_in_while_the_account_is_at_its_limit(
    limited: Timed,
) -> None:
    account = await limited.people.sign_up()
    browser = await known_browser(limited, account)
    await wear_out_account(limited, account.email)
    refused(await guess(limited, account.email, PASSWORD, ip=OWNER), 429, "TOO_MANY_REQUESTS")
    accepted(await guess(limited, account.email, PASSWORD, ip=OWNER, browser=browser))


async def test_browser_of_somebody_else_is_not_known(limited: Timed) -> None:
    account, other = await limited.people.sign_up(), await limited.people.sign_up()
    browser = await known_browser(limited, other)
    await wear_out_account(limited, account.email)
    for forged in (browser, browser[:-2] + "AA", "czb_" + "A" * 43):
        answer = await guess(limited, account.email, PASSWORD, ip=OWNER, browser=forged)
        refused(answer, 429, "TOO_MANY_REQUESTS")


async def test_two_people_share_a_browser(limited: Timed) -> None:
    one, two = await limited.people.sign_up(), await limited.people.sign_up()
    browser = await known_browser(limited, one)
    answer = await guess(limited, two.email, two.password, ip=OWNER, browser=browser)
    both = cookies_set_by(answer)[BROWSER_COOKIE].value
    for account in (one, two):
        await wear_out_account(limited, account.email)
        accepted(await guess(limited, account.email, account.password, ip=OWNER, browser=both))


async def test_stolen_browser_cookie_has_a_budget_of_its_own(limited: Timed) -> None:
    account = await limited.people.sign_up()
    browser = await known_browser(limited, account)
    for number in range(SOURCE_GUESSES.free + 1):
        answer = await guess(limited, account.email, ip=f"192.0.2.{number}", browser=browser)
        refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")
    reported = refused(await guess(limited, account.email, browser=browser), 429, "TOO_MANY_REQUESTS")
    assert reported["retryAfter"] == 5
    accepted(await guess(limited, account.email, PASSWORD, ip=OWNER))


async def test_browser_is_known_for_90_days_and_until_the_next_password(limited: Timed) -> None:
    account = await limited.people.sign_up()
    browser = await known_browser(limited, account)
    limited.time.advance(days=89)
    session = await limited.people.sign_in(account)
    await wear_out_account(limited, account.email)
    accepted(await guess(limited, account.email, PASSWORD, ip=OWNER, browser=browser))
    limited.time.advance(days=1)
    await wear_out_account(limited, account.email)
    answer = await guess(limited, account.email, PASSWORD, ip=OWNER, browser=browser)
    refused(answer, 429, "TOO_MANY_REQUESTS")

    limited.time.advance(days=1)
    fresh = await known_browser(limited, account)
    body = {"currentPassword": PASSWORD, "newPassword": "another long passphrase"}
    changed = await limited.api.post("/change-password", body, bearer=session.token)
    newest = cookies_set_by(changed)[BROWSER_COOKIE].value
    await wear_out_account(limited, account.email)
    answer = await guess(limited, account.email, "another long passphrase", ip=OWNER, browser=fresh)
    refused(answer, 429, "TOO_MANY_REQUESTS")
    answer = await guess(limited, account.email, "another long passphrase", ip=OWNER, browser=newest)
    accepted(answer)


async def test_cookie_of_a_known_browser_is_not_a_credential(limited: Timed) -> None:
    """It neither signs in nor makes a plain client's sign-in need an origin."""
    account = await limited.people.sign_up()
    browser = await known_browser(limited, account)
    refused(await limited.api.get("/session", cookies={BROWSER_COOKIE: browser}), 401, "UNAUTHORIZED")
    refused(await limited.api.get("/session", bearer=browser), 401, "INVALID_TOKEN")
    refused(await limited.api.get("/session", cookies={SESSION_COOKIE: browser}), 401, "UNAUTHORIZED")
    body = {"email": account.email, "password": account.password}
    cookies = {BROWSER_COOKIE: browser}
    accepted(await limited.api.post("/sign-in/email", body, cookies=cookies, origin=None))


# --- what a refusal tells --------------------------------------------------------------------------------------------
async def test_refusal_is_the_same_for_nobody(limited: Timed) -> None:
    """S24: a caller who is refused learns nothing about accounts."""
    account = await limited.people.sign_up()
    banned = await limited.people.sign_up()
    await limited.auth.administration.ban(banned.id, reason="test", context=system_context(limited.clock()))
    stories = []
    for email in (account.email, banned.email, "nobody@example.com"):
        story = [await guess(limited, email) for _ in range(SOURCE_GUESSES.free + 3)]
        stories.append([(answer.status_code, answer.text, dict(answer.headers)) for answer in story])
        for one in stories[-1]:
            one[2].pop("x-request-id", None)
    assert stories[0] == stories[1] == stories[2]
    assert {status for status, _, _ in stories[0]} == {401, 429}


async def test_right_password_costs_nothing(limited: Timed) -> None:
    account = await limited.people.sign_up()
    for _ in range(SOURCE_GUESSES.free + 5):
        accepted(await guess(limited, account.email, PASSWORD))
    url = limited.auth.settings.storage_url
    assert await sql(url, "SELECT count(*) FROM {}password_guesses") == [(0,)]


@pytest.mark.each_database
async def test_guesses_at_once_share_one_budget(limited: Timed) -> None:
    account = await limited.people.sign_up()
    answers = await asyncio.gather(*[guess(limited, account.email) for _ in range(SOURCE_GUESSES.free + 12)])
    passed = [answer for answer in answers if answer.status_code == 401]
    assert len(passed) == SOURCE_GUESSES.free + 1


async def test_guesses_within_a_session_are_slowed_down(limited: Timed) -> None:
    account = await limited.people.sign_up()
    session, other = await limited.people.sign_in(account), await limited.people.sign_in(account)
    routes = {
        "/reauthenticate": {"password": "a wrong guess"},
        "/two-factor/enable": {"password": "a wrong guess"},
        "/change-password": {"currentPassword": "a wrong guess", "newPassword": "another long passphrase"},
    }
    statuses = [
        (await limited.api.post(path, body, bearer=session.token)).status_code
        for _ in range(SOURCE_GUESSES.free // 3 + 2)
        for path, body in routes.items()
    ]
    assert statuses.count(400) == SOURCE_GUESSES.free + 1
    assert set(statuses[SOURCE_GUESSES.free + 1 :]) == {429}
    right = {"password": account.password}
    refused(await limited.api.post("/reauthenticate", right, bearer=session.token), 429, "TOO_MANY_REQUESTS")
    switched = await limited.api.post("/switch-actor", {"actorType": "customer"}, bearer=session.token)
    token = switched.headers["set-auth-token"]
    refused(await limited.api.post("/reauthenticate", right, bearer=token), 429, "TOO_MANY_REQUESTS")
    accepted(await limited.api.post("/reauthenticate", right, bearer=other.token))


# --- bounds ----------------------------------------------------------------------------------------------------------
@pytest.mark.deep
@pytest.mark.parametrize("bound", ["account", "network", "browser"])
async def test_guesses_of_a_day_are_those_that_the_documentation_states(limited: Timed, bound: str) -> None:
    """As fast as ever they are let, from new networks or from one, for two days."""
    counting, now = limited.auth.sign_in.guesses, limited.clock()
    schedule = ACCOUNT_GUESSES if bound == "account" else SOURCE_GUESSES
    counted, number = [], 0
    while now < limited.clock() + timedelta(days=2):
        number += 1
        ip = f"10.0.{number // 250}.{number % 250}" if bound == "account" else STRANGER
        token = "czb_" + "A" * 43 if bound == "browser" else None
        try:
            await counting.count_sign_in(
                "victim@example.com", browser_token=token, context=Context(now=now, ip=ip)
            )
            counted.append(now)
        except RateLimited as refusal:
            now += timedelta(seconds=refusal.retry_after or 0)
    busiest = max(sum(begin <= at < begin + timedelta(days=1) for at in counted) for begin in counted)
    assert busiest <= schedule.guesses_a_day
    assert schedule.guesses_a_day == (298 if bound == "account" else 125)
    assert len(counted) > schedule.guesses_a_day, "it goes on the next day"


def test_delay_grows_with_each_attempt() -> None:
    pauses = [ACCOUNT_GUESSES.pause(failures).total_seconds() for failures in range(49, 61)]
    assert pauses == [0, 0, 5, 10, 20, 40, 80, 160, 320, 360, 360, 360]


def test_one_network_alone_never_brings_an_account_to_its_limit() -> None:
    peak = SOURCE_GUESSES.guesses_a_day - timedelta(days=1) // SOURCE_GUESSES.forgotten_after
    assert peak < ACCOUNT_GUESSES.free
    assert SOURCE_GUESSES.forgotten_after > ACCOUNT_GUESSES.forgotten_after


@pytest.mark.deep
async def test_counters_of_made_up_addresses_are_bounded(
    limited: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S44: what goes are the counters that would be forgotten first, so that nobody's limit is washed out."""
    counting: PasswordGuesses = limited.auth.sign_in.guesses
    monkeypatch.setattr("czo_auth.core.flows.users.password_guesses.MAX_GUESS_COUNTERS", 40)
    monkeypatch.setattr("czo_auth.core.flows.users.password_guesses.CHECKED_EVERY", 10)
    await wear_out_account(limited, "victim@example.com")
    url = limited.auth.settings.storage_url
    max_rows = 0
    for number in range(100):
        await counting.count_sign_in(
            f"nobody-{number}@example.com",
            browser_token=None,
            context=Context(now=limited.clock() + timedelta(milliseconds=number), ip=STRANGER),
        )
        await asyncio.sleep(0)
        ((rows,),) = await sql(url, "SELECT count(*) FROM {}password_guesses")
        max_rows = max(max_rows, rows)
    assert max_rows < 400
    await limited.auth.services.transactions.run(lambda tx: tx.password_guesses.keep_newest(40))
    assert await sql(url, "SELECT count(*) FROM {}password_guesses") == [(40,)]
    refused(await guess(limited, "victim@example.com"), 429, "TOO_MANY_REQUESTS")

    def prune(tx: Transaction) -> int:
        return tx.password_guesses.prune_forgotten(now=limited.clock() + timedelta(days=2))

    assert await limited.auth.services.transactions.run(prune) == 40


# --- mailed links ----------------------------------------------------------------------------------------------------
async def reset_link(here: Timed, account: Account, after: int = 0) -> str:
    accepted(await here.api.post("/request-password-reset", {"email": account.email}))
    return await here.mail.token(account.email, "password_reset", after=after)


async def reset(here: Timed, token: str) -> Answer:
    return await here.api.post("/reset-password", {"token": token, "newPassword": "another long passphrase"})


async def test_request_of_a_stranger_leaves_the_owners_link_alive(timed: Timed) -> None:
    account = await timed.people.sign_up()
    mine = await reset_link(timed, account)
    for number in range(1, 10):
        await reset_link(timed, account, after=number)
    accepted(await reset(timed, mine))


async def test_links_in_a_mailbox_are_bounded(timed: Timed) -> None:
    account = await timed.people.sign_up()
    mine = await reset_link(timed, account)
    for _ in range(60):
        accepted(await timed.api.post("/request-password-reset", {"email": account.email}))
    url = timed.auth.settings.storage_url
    assert await sql(url, "SELECT count(*) FROM {}mail_tokens") == [(50,)]
    accepted(await reset(timed, mine))
    assert await sql(url, "SELECT count(*) FROM {}mail_tokens") == [(0,)]


async def test_opened_link_ends_the_earlier_ones(timed: Timed) -> None:
    account = await timed.people.sign_up()
    first = await reset_link(timed, account)
    timed.time.advance(seconds=1)
    second = await reset_link(timed, account, after=1)
    timed.time.advance(seconds=1)
    third = await reset_link(timed, account, after=2)
    await timed.auth.passwords.open_link(second, now=timed.clock())
    refused(await reset(timed, first), 400, "INVALID_TOKEN")
    accepted(await reset(timed, third))


async def test_link_from_before_a_ban_stays_invalid_when_the_ban_is_lifted(timed: Timed) -> None:
    account = await timed.people.sign_up()
    link = await reset_link(timed, account)
    accepted(await timed.api.post("/send-verification-email", {"email": account.email}))
    confirmation = await timed.mail.token(account.email, "verification")
    administration, now = timed.auth.administration, timed.clock()
    await administration.ban(account.id, reason="test", context=system_context(now))
    await administration.unban(account.id, context=system_context(now))
    refused(await reset(timed, link), 400, "INVALID_TOKEN")
    refused(await timed.api.get(f"/verify-email?token={confirmation}"), 400, "INVALID_TOKEN")


async def test_reset_without_a_token_costs_no_hash(timed: Timed, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_hash(*_: object, **__: object) -> str:
        raise AssertionError("a password was hashed for nobody")

    monkeypatch.setattr(passwords, "hash_password", no_hash)
    refused(await reset(timed, "czm_" + "A" * 43), 400, "INVALID_TOKEN")


@pytest.mark.deep
@pytest.mark.parametrize("learned", ["at the start", "at the first guess"])
async def test_imported_user_costs_what_nobody_costs(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch, learned: str
) -> None:
    """S24: counted in hashes that are verified, of each kind."""
    here = await deploy()
    account, other = await here.people.sign_up(), await here.people.sign_up()
    url = here.auth.settings.storage_url
    imported = "pbkdf2_sha256$1000$mJdmYWj8dpiwLLDl3cTBtp$HM2d8vPXprDRuXme/HpRfbd3Q6MFkZEqgLXT8oclwyo="
    await sql(url, "UPDATE {}users SET password_hash = $1 WHERE id = $2", imported, account.id)
    if learned == "at the start":
        await here.auth._learn_hashes()
    else:
        refused(await guess(here, account.email), 401, "INVALID_EMAIL_OR_PASSWORD")
    done: list[str] = []
    verify = passwords.verify_password

    def verify_and_note(stored: str, password: str) -> passwords.PasswordMatch:
        done.append(stored.split("$")[0] or stored.split("$")[1])
        return verify(stored, password)

    monkeypatch.setattr(passwords, "verify_password", verify_and_note)
    work = []
    for email in (account.email, other.email, "nobody@example.com"):
        done.clear()
        refused(await guess(here, email), 401, "INVALID_EMAIL_OR_PASSWORD")
        work.append(sorted(done))
    assert work == [["argon2id", "pbkdf2_sha256"]] * 3
