"""What a passkey's answer is refused for (S36), each with one identical answer, and who may begin and finish one."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

from czo_auth.core.context import system_context
from czo_auth.core.limits import MAX_PASSKEY_ANSWERS
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed
from tests.contract.passkeys import (
    answer_registration,
    begin_registration,
    begin_second_step,
    begin_sign_in,
    finish_sign_in,
    register,
    sign_in,
)
from tests.support.authenticator import (
    AT,
    BE,
    BS,
    ED,
    UP,
    UV,
    Authenticator,
    Credential,
    Lie,
    encode,
)

ASSERTION_LIES = {
    "another site's origin": Lie(origin="https://evil.example"),
    "the right host by another scheme": Lie(origin="https://auth.test"),
    "the right host on another port": Lie(origin="http://auth.test:8443"),
    "a trusted origin outside the relying party id": Lie(origin="https://app.example"),
    "another relying party": Lie(rp_id="evil.example"),
    "a registration's type": Lie(type="webauthn.create"),
    "another challenge": Lie(challenge=bytes(32)),
    "no user verification": Lie(flags=UP),
    "no user presence": Lie(flags=UV),
    "backup eligible all at once": Lie(flags=UP | UV | BE),
    "backed up, but not eligible": Lie(flags=UP | UV | BS),
    "a frame of another site": Lie(cross_origin=True),
    "a page on top of another site": Lie(top_origin="https://evil.example"),
    "a wrong signature": Lie(signature=b"\x30\x06\x02\x01\x01\x02\x01\x01"),
    "no signature": Lie(signature=b""),
    "another user's handle": Lie(user_handle=bytes(16)),
    "short authenticator data": Lie(authenticator_data=b"\x00" * 20),
    "leftover bytes": Lie(
        authenticator_data=hashlib.sha256(b"auth.test").digest() + bytes([5, 0, 0, 0, 9, 0])
    ),
    "extensions that are no CBOR": Lie(flags=UP | UV | ED),
    "attested data that is not there": Lie(flags=UP | UV | AT),
    "client data that is no JSON": Lie(client_data=b"{"),
    "client data that is nested deeply": Lie(client_data=b"[" * 20_000),
    "client data that is a list": Lie(client_data=b"[]"),
    "a signature that is a number": Lie(more={"signature": 7}),
    "client data that is padded": Lie(more={"clientDataJSON": "e30="}),
    "nothing": Lie(more={"clientDataJSON": None, "authenticatorData": None, "signature": None}),
}


async def test_wrong_assertions_get_one_identical_answer(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    _, session = await timed.people.newcomer()
    await register(timed, session, device)
    bodies = set()
    for name, lie in ASSERTION_LIES.items():
        options = await begin_sign_in(timed)
        answer = await finish_sign_in(timed, options, device.get(options, lie))
        assert answer.status_code == 401, name
        refused(answer, 401, "AUTHENTICATION_FAILED")
        bodies.add(answer.text)
        assert "set-cookie" not in answer.headers, name
    assert len(bodies) == 1
    await sign_in(timed, device)


async def test_unknown_banned_and_deleted_are_reported_the_same(timed: Timed) -> None:
    device, stranger = Authenticator(timed.api.origin), Authenticator(timed.api.origin)
    account, session = await timed.people.newcomer()
    await register(timed, session, device)
    options = await begin_sign_in(timed)
    stranger.credentials.append(Credential(options["rpId"], bytes(16), algorithm="ES256"))
    unknown = refused(
        await finish_sign_in(timed, options, stranger.get(options)), 401, "AUTHENTICATION_FAILED"
    )
    await timed.auth.administration.ban(account.id, reason="spam", context=system_context(timed.clock()))
    options = await begin_sign_in(timed)
    banned = refused(await finish_sign_in(timed, options, device.get(options)), 401, "AUTHENTICATION_FAILED")
    for response in ({}, {"id": "!"}, {"id": encode(bytes(1024))}, {"id": 7, "response": []}):
        options = await begin_sign_in(timed)
        odd = refused(await finish_sign_in(timed, options, response), 401, "AUTHENTICATION_FAILED")
        assert odd == unknown == banned


async def test_any_answer_spends_the_ceremony(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    _, session = await timed.people.newcomer()
    await register(timed, session, device)
    options = await begin_sign_in(timed)
    wrong = device.get(options, Lie(origin="https://evil.example"))
    refused(await finish_sign_in(timed, options, wrong), 401, "AUTHENTICATION_FAILED")
    right = device.get(options)
    refused(await finish_sign_in(timed, options, right), 400, "CHALLENGE_NOT_FOUND")
    options = await begin_sign_in(timed)
    right = device.get(options)
    accepted(await finish_sign_in(timed, options, right))
    refused(await finish_sign_in(timed, options, right), 400, "CHALLENGE_NOT_FOUND")


async def test_ceremony_ends_after_five_minutes(timed_sqlite: Timed) -> None:
    device = Authenticator(timed_sqlite.api.origin)
    _, session = await timed_sqlite.people.newcomer()
    await register(timed_sqlite, session, device)
    for seconds, status in ((299, 200), (301, 400)):
        options = await begin_sign_in(timed_sqlite)
        timed_sqlite.time.advance(seconds=seconds)
        answer = await finish_sign_in(timed_sqlite, options, device.get(options))
        assert answer.status_code == status


async def test_unknown_and_foreign_ceremonies_are_refused(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    _, session = await timed.people.newcomer()
    await register(timed, session, device)
    _, other = await timed.people.newcomer()
    sign_in_options = await begin_sign_in(timed)
    response = device.get(sign_in_options)
    handle = sign_in_options["ceremony"]
    changed = handle[:10] + ("B" if handle[10] == "A" else "A") + handle[11:]
    for ceremony in ("", "czw_" + "A" * 43, "czc_" + "A" * 43, changed):
        body = {"response": response, "ceremony": ceremony}
        answer = await timed.api.post("/passkey/verify-authentication", body)
        assert answer.status_code == 400
    refused(
        await timed.api.post("/passkey/verify-authentication", {"response": response}),
        400,
        "CHALLENGE_NOT_FOUND",
    )
    # One that was begun for a registration, or in another session, answers nothing else.
    registration = await begin_registration(timed, session)
    borrowed = {
        **sign_in_options,
        "challenge": registration["challenge"],
        "ceremony": registration["ceremony"],
    }
    refused(await finish_sign_in(timed, borrowed, device.get(borrowed)), 400, "CHALLENGE_NOT_FOUND")
    new = Authenticator(timed.api.origin)
    refused(
        await answer_registration(timed, other, registration, new.create(registration)),
        400,
        "CHALLENGE_NOT_FOUND",
    )
    accepted(await answer_registration(timed, session, registration, new.create(registration)))


async def test_counter_that_does_not_grow_is_refused_and_recorded(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    account, session = await timed.people.newcomer()
    await register(timed, session, device)
    await sign_in(timed, device)
    for count in (0, 1):
        options = await begin_sign_in(timed)
        copied = device.get(options, Lie(sign_count=count))
        refused(await finish_sign_in(timed, options, copied), 401, "AUTHENTICATION_FAILED")
    await sign_in(timed, device)
    events = await timed.auth.administration.events(
        event_type="auth.passkey.counter_regressed", before=None, limit=10
    )
    assert [event.user_id for event in events] == [account.id, account.id]
    assert {event.data["received"] for event in events} == {0, 1}


async def test_synced_passkeys_need_no_counter(timed_sqlite: Timed) -> None:
    device = Authenticator(timed_sqlite.api.origin, synced=True)
    _, session = await timed_sqlite.people.newcomer()
    await register(timed_sqlite, session, device)
    for _ in range(3):
        await sign_in(timed_sqlite, device)


async def test_backup_eligibility_never_changes_and_backup_state_may(timed_sqlite: Timed) -> None:
    device = Authenticator(timed_sqlite.api.origin, synced=True)
    _, session = await timed_sqlite.people.newcomer()
    await register(timed_sqlite, session, device)
    for flags, status in ((UP | UV | BE, 200), (UP | UV | BE | BS, 200), (UP | UV, 401)):
        options = await begin_sign_in(timed_sqlite)
        answer = await finish_sign_in(timed_sqlite, options, device.get(options, Lie(flags=flags)))
        assert answer.status_code == status


async def test_of_32_answers_at_once_one_counts(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    _, session = await timed.people.newcomer()
    await register(timed, session, device)
    options = await begin_sign_in(timed)
    response = device.get(options)
    answers = await asyncio.gather(*(finish_sign_in(timed, options, response) for _ in range(32)))
    codes = [answer.json().get("code") for answer in answers if answer.status_code != 200]
    assert len(codes) == 31
    assert set(codes) == {"CHALLENGE_NOT_FOUND"}


async def test_of_32_copies_with_one_counter_one_signs_in(timed: Timed) -> None:
    """A cloned authenticator: each copy answers a ceremony of its own with the same counter."""
    device = Authenticator(timed.api.origin)
    _, session = await timed.people.newcomer()
    await register(timed, session, device)
    begun = [await begin_sign_in(timed) for _ in range(32)]
    answers = await asyncio.gather(
        *(finish_sign_in(timed, options, device.get(options, Lie(sign_count=7))) for options in begun)
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 31]


async def test_wrong_passkey_counts_on_the_challenge_and_locks_nobody(timed: Timed) -> None:
    account, session = await timed.people.enrolled()
    device = Authenticator(timed.api.origin)
    await register(timed, session, device)
    for _ in range(3):
        challenge = await timed.people.challenge(account)
        for _ in range(5):
            options = await begin_second_step(timed, challenge=challenge)
            wrong = device.get(options, Lie(signature=b""))
            body = {"response": wrong, "ceremony": options["ceremony"], "challenge": challenge}
            refused(await timed.api.post("/two-factor/verify-passkey", body), 401, "AUTHENTICATION_FAILED")
        options = await begin_second_step(timed, challenge=challenge)
        body = {"response": device.get(options), "ceremony": options["ceremony"], "challenge": challenge}
        refused(
            await timed.api.post("/two-factor/verify-passkey", body),
            400,
            "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE",
        )
        refused(await timed.api.post("/two-factor/verify-passkey", body), 401, "INVALID_TWO_FACTOR_COOKIE")
    timed.time.advance(minutes=1)
    await timed.people.sign_in(account)


async def test_second_step_takes_no_passkey_of_somebody_else(timed: Timed) -> None:
    account, session = await timed.people.enrolled()
    mine, theirs = Authenticator(timed.api.origin), Authenticator(timed.api.origin)
    await register(timed, session, mine)
    _, other = await timed.people.newcomer()
    await register(timed, other, theirs)
    challenge = await timed.people.challenge(account)
    options = await begin_second_step(timed, challenge=challenge)
    response = theirs.get(options, credential=theirs.credentials[0])
    body = {"response": response, "ceremony": options["ceremony"], "challenge": challenge}
    refused(await timed.api.post("/two-factor/verify-passkey", body), 401, "AUTHENTICATION_FAILED")
    # The other's sign-in does not answer this one either.
    refused(
        await timed.api.post("/two-factor/passkey-options", {"challenge": "czc_" + "A" * 43}),
        401,
        "INVALID_TWO_FACTOR_COOKIE",
    )
    refused(await timed.api.post("/two-factor/passkey-options", {}), 401, "INVALID_TWO_FACTOR_COOKIE")


async def test_no_session_is_raised_by_a_passkey_of_somebody_else(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    mine, theirs = Authenticator(timed.api.origin), Authenticator(timed.api.origin)
    await register(timed, session, mine)
    _, other = await timed.people.newcomer()
    await register(timed, other, theirs)
    for handle in (None, mine.credentials[0].user_handle):
        options = await begin_second_step(timed, bearer=session.token)
        response = theirs.get(options, Lie(user_handle=handle), credential=theirs.credentials[0])
        body = {"response": response, "ceremony": options["ceremony"]}
        answer = await timed.api.post("/two-factor/verify-passkey", body, bearer=session.token)
        refused(answer, 401, "AUTHENTICATION_FAILED")
    who = accepted(await timed.api.get("/whoami", bearer=session.token))
    assert (who["aal"], who["phishingResistant"]) == (1, False)


async def test_views_of_a_sign_in_page_store_nothing(timed: Timed) -> None:
    for _ in range(50):
        await begin_sign_in(timed)
    assert await _count_marks(timed) == 0
    options = await begin_sign_in(timed)
    await finish_sign_in(timed, options, {})
    assert await _count_marks(timed) == 1


async def _count_marks(here: Timed) -> int:
    transactions = here.auth.services.transactions
    counted: int = await transactions.read(
        lambda tx: tx.passkeys.count_answered("127.0.0.1", now=here.clock())
    )
    return counted


async def test_answers_from_one_network_are_bounded_and_forgotten(timed: Timed) -> None:
    """What strangers can make grow: a mark for each answer, for five minutes, at most so many a network."""
    device = Authenticator(timed.api.origin)
    _, session = await timed.people.newcomer()
    await register(timed, session, device)
    now = timed.clock()

    def fill(tx: Any) -> None:
        for number in range(MAX_PASSKEY_ANSWERS):
            tx.passkeys.consume_ceremony(
                f"{number:064x}", network="127.0.0.1", expires_at=now + timedelta(minutes=5)
            )

    await timed.auth.services.transactions.run(fill)
    options = await begin_sign_in(timed)
    refused(await finish_sign_in(timed, options, device.get(options)), 429, "TOO_MANY_REQUESTS")
    timed.time.advance(minutes=6)
    await sign_in(timed, device)
    timed.time.advance(hours=2)
    await timed.auth._housekeeping.tidy()
    assert await _count_all_marks(timed) == 0


async def _count_all_marks(here: Timed) -> int:
    transactions = here.auth.services.transactions
    counted: int = await transactions.read(
        lambda tx: tx.passkeys.count_answered("127.0.0.1", now=here.clock() - timedelta(days=1))
    )
    return counted


async def test_unknown_fields_are_ignored_where_better_auth_sends_them(timed_sqlite: Timed) -> None:
    device = Authenticator(timed_sqlite.api.origin)
    _, session = await timed_sqlite.people.newcomer()
    passkey = await register(timed_sqlite, session, device, createSession=True)
    for path in ("generate-register-options", "generate-authenticate-options", "list-user-passkeys"):
        answer = await timed_sqlite.api.get(f"/passkey/{path}?context=x", bearer=session.token)
        assert answer.status_code == 200, path
    options = await begin_sign_in(timed_sqlite)
    accepted(await finish_sign_in(timed_sqlite, options, device.get(options), fetchOptions={}))
    strict = {"response": {}, "unknown": 1}
    refused(
        await timed_sqlite.api.post("/two-factor/verify-passkey", strict, bearer=session.token),
        400,
        "VALIDATION_ERROR",
    )
    body = {"response": {}, "userId": passkey["userId"]}
    refused(
        await timed_sqlite.api.post("/passkey/verify-registration", body, bearer=session.token),
        400,
        "VALIDATION_ERROR",
    )


async def test_actor_type_is_checked_after_the_right_answer_alone(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    _, session = await timed.people.newcomer()
    await register(timed, session, device)
    options = await begin_sign_in(timed)
    wrong = device.get(options, Lie(signature=b""))
    refused(await finish_sign_in(timed, options, wrong, actorType="admin"), 401, "AUTHENTICATION_FAILED")
    options = await begin_sign_in(timed)
    refused(
        await finish_sign_in(timed, options, device.get(options), actorType="admin"),
        403,
        "ACTOR_TYPE_MISMATCH",
    )
