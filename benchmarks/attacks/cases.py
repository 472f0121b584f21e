"""The attacks: each tries one thing on a server over HTTP and returns the result in a few words."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

import httpx

from benchmarks.attacks.subjects import Account, Attacked, Pending, WithDevices, WithKeys, texts_in
from czo_auth.crypto import totp

AT_ONCE = 32
MAX_GUESSES = 30
Case = Callable[[Attacked], Awaitable[str]]


async def _enrolled(server: Attacked) -> Account:
    account = await server.sign_up()
    await server.enroll(account)
    return account


async def replayed_code(server: Attacked) -> str:
    """The same TOTP code for two sign-ins in a row, within its time window"""
    account = await _enrolled(server)
    code = account.code()
    first = await server.totp(await server.begin(account), code)
    second = await server.totp(await server.begin(account), code)
    return f"{first.status_code}, then {second.status_code}"


async def enrollment_code_again(server: Attacked) -> str:
    """The code that confirmed the enrollment, used again at the next sign-in"""
    account = await server.sign_up()
    before = account.code
    sent: list[str] = []

    def remember(ahead: int = 1) -> str:
        sent.append(before(ahead))
        return sent[-1]

    account.code = remember  # type: ignore[method-assign]
    await server.enroll(account)
    return str((await server.totp(await server.begin(account), sent[0])).status_code)


async def racing_code(server: Attacked) -> str:
    """The same TOTP code for 32 concurrent sign-ins"""
    account = await _enrolled(server)
    begun = [await server.begin(account) for _ in range(AT_ONCE)]
    code = account.code()
    return _statuses(await asyncio.gather(*(server.totp(one, code) for one in begun)))


async def racing_backup_code(server: Attacked) -> str:
    """The same backup code for 32 concurrent sign-ins"""
    account = await _enrolled(server)
    begun = [await server.begin(account) for _ in range(AT_ONCE)]
    code = account.codes[0]
    return _statuses(await asyncio.gather(*(server.backup(one, code) for one in begun)))


async def finished_challenge(server: Attacked) -> str:
    """The challenge of a completed sign-in, used again with another backup code"""
    account = await _enrolled(server)
    begun = await server.begin(account)
    copied = server.browser()
    copied.cookies.update(begun.browser.cookies)
    first = await server.backup(begun, account.codes[0])
    again = type(begun)(copied, begun.challenge)
    second = await server.backup(again, account.codes[1])
    return f"{first.status_code}, then {second.status_code}"


async def guesses_at_one_challenge(server: Attacked) -> str:
    """Up to 30 wrong codes for one challenge, then a valid backup code for it"""
    account = await _enrolled(server)
    begun = await server.begin(account)
    seen = [await server.totp(begun, _wrong(account, guess)) for guess in range(MAX_GUESSES)]
    last = await server.backup(begun, account.codes[0])
    return f"{_runs(seen)}; the valid code: {last.status_code}"


async def guesses_at_an_account(server: Attacked) -> str:
    """Up to 30 wrong codes, each for a new challenge, then a valid backup code for another challenge"""
    account = await _enrolled(server)
    seen = []
    for guess in range(MAX_GUESSES):
        browser = server.browser()
        answer = await server.sign_in(account.email, account.password, browser)
        if answer.status_code >= 300:
            seen.append(answer)
            continue
        begun = Pending(browser, str(answer.json().get("challenge", "")))
        seen.append(await server.totp(begun, _wrong(account, guess)))
    try:
        last = str((await server.backup(await server.begin(account), account.codes[0])).status_code)
    except RuntimeError as refused:
        last = f"not sent, the sign-in returned {str(refused).partition(': ')[2][:3]}"
    return f"{_runs(seen)}; the valid code: {last}"


async def session_after_password_change(server: Attacked) -> str:
    """Another session of the user after a password change with the server's defaults"""
    account = await server.sign_up()
    other = server.browser()
    await server.sign_in(account.email, account.password, other)
    before = await server.is_signed_in(other)
    await server.change_password(account)
    return f"{_valid(before)}, then {_valid(await server.is_signed_in(other))}"


async def session_after_second_factor(server: Attacked) -> str:
    """Another session of the user, signed in with the password only, after the second factor was turned on"""
    account = await server.sign_up()
    other = server.browser()
    await server.sign_in(account.email, account.password, other)
    before = await server.is_signed_in(other)
    await server.enroll(account)
    return f"{_valid(before)}, then {_valid(await server.is_signed_in(other))}"


async def session_after_ban(server: Attacked) -> str:
    """A session after its user was banned"""
    account = await server.sign_up()
    before = await server.is_signed_in(account.browser)
    await server.ban(account)
    return f"{_valid(before)}, then {_valid(await server.is_signed_in(account.browser))}"


async def key_after_ban(server: Attacked) -> str:
    """An API key after its owner was banned"""
    if not isinstance(server, WithKeys):
        return "not applicable: no API keys"
    account = await server.sign_up()
    key = await server.create_key(account)
    before = await server.uses_key(key)
    await server.ban(account)
    return f"{_accepted(before)}, then {_accepted(await server.uses_key(key))}"


async def copy_of_the_database(server: Attacked) -> str:
    """Secrets that a copy of the database contains in plain text"""
    account = await _enrolled(server)
    handed_out = {"TOTP secret": account.secret_text, "backup code": account.codes[0]}
    if isinstance(server, WithKeys):
        handed_out["API key"] = await server.create_key(account)
    for name, value in account.browser.cookies.items():
        if "session" in name and "data" not in name:
            # better-auth signs the cookie; the token precedes the signature.
            handed_out["session token"] = value.partition(".")[0]
    text = texts_in(server.database)
    checked = f"checked: {', '.join(handed_out)}"
    shown = [name for name, value in handed_out.items() if value and value in text]
    raw = account.secret.decode("ascii", "replace")
    if "TOTP secret" not in shown and raw in text:
        shown.append("TOTP secret")
    return f"{', '.join(shown) or 'none'} ({checked})"


async def telling_users_apart(server: Attacked) -> str:
    """Sign-in with an unknown email, with a wrong password, as a banned user with the right one: status and length"""
    account, banned = await server.sign_up(), await server.sign_up()
    await server.ban(banned)
    answers = [
        await server.sign_in("nobody@example.com", PASSWORD_OF_NOBODY, server.browser()),
        await server.sign_in(account.email, PASSWORD_OF_NOBODY, server.browser()),
        await server.sign_in(banned.email, banned.password, server.browser()),
    ]
    return ", ".join(f"{one.status_code} ({len(one.content)} bytes)" for one in answers)


async def racing_device_code(server: Attacked) -> str:
    """An approved device code redeemed by 32 concurrent requests"""
    if not isinstance(server, WithDevices):
        return NO_DEVICES
    account = await server.sign_up()
    device_code, user_code = await server.device_code()
    await _approved(server, account, user_code)
    return _statuses(await asyncio.gather(*(server.fetch(device_code) for _ in range(AT_ONCE))))


async def device_code_again(server: Attacked) -> str:
    """An approved device code redeemed twice; then the credential that it gave, used"""
    if not isinstance(server, WithDevices):
        return NO_DEVICES
    account = await server.sign_up()
    device_code, user_code = await server.device_code()
    await _approved(server, account, user_code)
    first = await server.fetch(device_code)
    second = await server.fetch(device_code)
    return f"{_runs([first])}, then {_runs([second])}; {_accepted(await server.uses_fetched(first))}"


async def guesses_at_user_codes(server: Attacked) -> str:
    """Up to 30 wrong user codes entered by a signed-in user, then a valid one"""
    if not isinstance(server, WithDevices):
        return NO_DEVICES
    account = await server.sign_up()
    _, user_code = await server.device_code()
    wrong = [f"BBBB{one}{other}BB" for one in "CDFGHJ" for other in "KLMNP"][:MAX_GUESSES]
    seen = [await server.look(account, code) for code in wrong]
    return f"{_runs(seen)}; the valid code: {(await server.look(account, user_code)).status_code}"


async def device_code_of_somebody_else(server: Attacked) -> str:
    """A user code opened by one user and approved by another"""
    if not isinstance(server, WithDevices):
        return NO_DEVICES
    first, second = await server.sign_up(), await server.sign_up()
    _, user_code = await server.device_code()
    await server.look(first, user_code)
    return _runs([await server.approve(second, user_code)])


async def device_code_after_ban(server: Attacked) -> str:
    """An approved device code redeemed after its approver was banned; then the credential that it gave, used"""
    if not isinstance(server, WithDevices):
        return NO_DEVICES
    account = await server.sign_up()
    device_code, user_code = await server.device_code()
    await _approved(server, account, user_code)
    await server.ban(account)
    answer = await server.fetch(device_code)
    if answer.status_code != 200:
        return _runs([answer])
    return f"200; {_accepted(await server.uses_fetched(answer))}"


async def _approved(server: WithDevices, account: Account, user_code: str) -> None:
    for answer in (await server.look(account, user_code), await server.approve(account, user_code)):
        if answer.status_code != 200:
            raise RuntimeError(f"approval says {answer.status_code} {answer.text[:100]}")


NO_DEVICES = "not applicable: no device authorization"
PASSWORD_OF_NOBODY = "nobody has this phrase"
CASES: tuple[Case, ...] = (
    replayed_code,
    enrollment_code_again,
    racing_code,
    racing_backup_code,
    finished_challenge,
    guesses_at_one_challenge,
    guesses_at_an_account,
    session_after_password_change,
    session_after_second_factor,
    session_after_ban,
    key_after_ban,
    copy_of_the_database,
    telling_users_apart,
    racing_device_code,
    device_code_again,
    device_code_of_somebody_else,
    device_code_after_ban,
    # Last: if guesses are counted by address, the address is locked for a while.
    guesses_at_user_codes,
)


def _wrong(account: Account, guess: int) -> str:
    right = {account.code(ahead) for ahead in range(-2, 3)}
    return next(code for number in range(guess * 7, 10**totp.DIGITS) if (code := f"{number:06}") not in right)


def _statuses(answers: Iterable[httpx.Response]) -> str:
    found = Counter(answer.status_code for answer in answers)
    return ", ".join(f"{number} × {status}" for status, number in sorted(found.items()))


def _runs(answers: Iterable[httpx.Response]) -> str:
    """Write ``401, 401, 429`` as ``2 × 401, 1 × 429``, in the order in which they came, by status and code."""
    runs: list[tuple[str, int]] = []
    for answer in answers:
        said = f"{answer.status_code} {_code_of(answer)}".strip()
        if runs and runs[-1][0] == said:
            runs[-1] = (said, runs[-1][1] + 1)
        else:
            runs.append((said, 1))
    return ", ".join(f"{number} × {said}" for said, number in runs)


def _code_of(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    error = body.get("error")
    if isinstance(error, dict):
        return f"`{error.get('code', '')}`"
    if isinstance(error, str):
        return f"`{error}`"
    return f"`{body['code']}`" if "code" in body else ""


def _valid(is_valid: bool) -> str:
    return "valid" if is_valid else "revoked"


def _accepted(is_accepted: bool) -> str:
    return "accepted" if is_accepted else "refused"
