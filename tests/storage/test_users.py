"""What the port of the users promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import MailPurpose, MailToken
from czo_auth.core.users.user import User
from tests.storage.rows import HOUR, NOW, SECOND, Things, a_digest, a_user, an_id


def a_mail_token(user_id: str, *, purpose: MailPurpose = "reset_password") -> MailToken:
    return MailToken(
        id=an_id(), user_id=user_id, purpose=purpose, email="new@example.com", expires_at=NOW + HOUR
    )


async def test_user_comes_back_as_kept(things: Things) -> None:
    user = await things.user(
        name="Zoë 🦊",
        image="https://example.com/a.png",
        email_verified=True,
        password_hash="$argon2id$…",
        actor_types=frozenset({"merchant", "admin", "customer"}),
        banned_at=NOW,
    )
    assert await things.run(lambda tx: tx.users.find(user.id)) == user
    assert await things.run(lambda tx: tx.users.find_by_email(user.email)) == user
    assert await things.run(lambda tx: tx.users.lock(user.id)) == user


async def test_unknown_users_are_none(things: Things) -> None:
    assert await things.run(lambda tx: tx.users.find(an_id())) is None
    assert await things.run(lambda tx: tx.users.find_by_email("nobody@example.com")) is None
    assert await things.run(lambda tx: tx.users.lock(an_id())) is None


async def test_second_user_with_an_address_is_not_added(things: Things) -> None:
    user = await things.user()
    other = a_user(email=user.email, name="Eve")
    assert not await things.run(lambda tx: tx.users.add(other))
    assert await things.run(lambda tx: tx.users.find(other.id)) is None
    assert await things.run(lambda tx: tx.users.find_by_email(user.email)) == user


async def test_refused_address_leaves_the_transaction_usable(things: Things) -> None:
    user = await things.user()
    other = a_user()

    def step(tx: Transaction) -> tuple[bool, bool]:
        return tx.users.add(a_user(email=user.email)), tx.users.add(other)

    assert await things.run(step) == (False, True)
    assert await things.run(lambda tx: tx.users.find(other.id)) == other


async def test_factor_shows_on_its_user_only(things: Things) -> None:
    user, other = await things.user(), await things.user()
    await things.factor(user)
    assert await things.run(lambda tx: tx.users.find(user.id)) == replace(user, has_factor=True)
    assert await things.run(lambda tx: tx.users.lock(user.id)) == replace(user, has_factor=True)
    assert await things.run(lambda tx: tx.users.find(other.id)) == other


async def test_changes_change_what_they_say_and_nothing_else(things: Things) -> None:
    user = await things.user(password_hash="old")
    later = NOW + SECOND
    expected = replace(user, updated_at=later)

    await things.run(
        lambda tx: tx.users.update_profile(user.id, name="Bea", image="i", email_verified=True, now=later)
    )
    expected = replace(expected, name="Bea", image="i", email_verified=True)
    assert await things.run(lambda tx: tx.users.find(user.id)) == expected

    await things.run(lambda tx: tx.users.set_password(user.id, password_hash="new", now=later))
    expected = replace(expected, password_hash="new")
    assert await things.run(lambda tx: tx.users.find(user.id)) == expected

    hats = frozenset({"customer", "admin"})
    await things.run(lambda tx: tx.users.set_actor_types(user.id, actor_types=hats, now=later))
    expected = replace(expected, actor_types=hats)
    assert await things.run(lambda tx: tx.users.find(user.id)) == expected

    await things.run(lambda tx: tx.users.bump_credential_version(user.id, now=later))
    expected = replace(expected, credential_version=2)
    assert await things.run(lambda tx: tx.users.find(user.id)) == expected

    await things.run(lambda tx: tx.users.set_ban(user.id, banned_at=NOW, reason="spam", now=later))
    assert await things.run(lambda tx: tx.users.find(user.id)) == replace(expected, banned_at=NOW)
    await things.run(lambda tx: tx.users.set_ban(user.id, banned_at=None, reason=None, now=later))
    assert await things.run(lambda tx: tx.users.find(user.id)) == expected


async def test_changes_leave_other_users_alone(things: Things) -> None:
    user, other = await things.user(), await things.user()
    await things.run(lambda tx: tx.users.set_password(user.id, password_hash="new", now=NOW))
    assert await things.run(lambda tx: tx.users.find(other.id)) == other


async def test_search_goes_through_all_users_in_pages(things: Things) -> None:
    users = [await things.user() for _ in range(5)]
    found: list[User] = []
    after: str | None = None
    while page := await things.run(lambda tx: tx.users.search(text=None, after=after, limit=2)):  # noqa: B023
        assert len(page) <= 2
        found += page
        after = page[-1].id
    assert found == users
    assert await things.run(lambda tx: tx.users.count(text=None)) == 5


@pytest.mark.parametrize("text", ["50%", "a_c", "back\\slash", "ANN", "nn@exa"])
async def test_search_is_literal_and_ignores_case(things: Things, text: str) -> None:
    wanted = {
        "50%": await things.user(name="50% off"),
        "a_c": await things.user(name="a_c"),
        "back\\slash": await things.user(name="back\\slash"),
        "ANN": await things.user(name="Anna", email="x@example.org"),
        "nn@exa": await things.user(name="B", email="bnn@example.org"),
    }
    await things.user(name="500 abc backXslash")
    found = await things.run(lambda tx: tx.users.search(text=text, after=None, limit=10))
    assert found == [wanted[text]]
    assert await things.run(lambda tx: tx.users.count(text=text)) == 1


async def test_mail_token_is_handed_out_once(things: Things) -> None:
    user, digest = await things.user(), a_digest()
    token = a_mail_token(user.id)
    await things.run(lambda tx: tx.users.add_mail_token(token, digest=digest, now=NOW))
    assert (
        await things.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=NOW))
        == token
    )
    assert (
        await things.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=NOW))
        is None
    )


async def test_password_tokens_of_one_user_are_dropped_together(things: Things) -> None:
    user, other = await things.user(), await things.user()
    purposes: tuple[MailPurpose, ...] = ("reset_password", "recover_password", "verify_email")
    kept: dict[tuple[str, MailPurpose], str] = {}
    for owner in (user, other):
        for purpose in purposes:
            digest = kept[owner.id, purpose] = a_digest()
            token = a_mail_token(owner.id, purpose=purpose)
            await things.run(lambda tx: tx.users.add_mail_token(token, digest=digest, now=NOW))  # noqa: B023
    await things.run(lambda tx: tx.users.drop_password_tokens(user.id))
    alive = [
        place
        for place, digest in kept.items()
        if await things.run(lambda tx: tx.users.take_mail_token(digest, purpose=place[1], now=NOW))  # noqa: B023
    ]
    assert alive == [(user.id, "verify_email"), *((other.id, purpose) for purpose in purposes)]


async def test_mail_token_serves_its_purpose_only(things: Things) -> None:
    user, digest = await things.user(), a_digest()
    token = a_mail_token(user.id)
    await things.run(lambda tx: tx.users.add_mail_token(token, digest=digest, now=NOW))
    assert (
        await things.run(lambda tx: tx.users.take_mail_token(digest, purpose="verify_email", now=NOW)) is None
    )
    assert (
        await things.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=NOW))
        == token
    )


async def test_expired_mail_token_is_not_handed_out(things: Things) -> None:
    user, digest = await things.user(), a_digest()
    await things.run(lambda tx: tx.users.add_mail_token(a_mail_token(user.id), digest=digest, now=NOW))
    late = NOW + HOUR
    assert (
        await things.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=late))
        is None
    )


async def test_new_mail_token_kills_the_one_before_of_its_purpose(things: Things) -> None:
    user = await things.user()
    old, new, other = a_digest(), a_digest(), a_digest()
    for digest, purpose in ((old, "reset_password"), (other, "verify_email"), (new, "reset_password")):
        token = a_mail_token(user.id, purpose=purpose)  # type: ignore[arg-type]
        await things.run(lambda tx: tx.users.add_mail_token(token, digest=digest, now=NOW))  # noqa: B023
    assert (
        await things.run(lambda tx: tx.users.take_mail_token(old, purpose="reset_password", now=NOW)) is None
    )
    assert (
        await things.run(lambda tx: tx.users.take_mail_token(new, purpose="reset_password", now=NOW))
        is not None
    )
    assert (
        await things.run(lambda tx: tx.users.take_mail_token(other, purpose="verify_email", now=NOW))
        is not None
    )


async def test_pruning_deletes_expired_mail_tokens_only(things: Things) -> None:
    user, digest = await things.user(), a_digest()
    await things.run(lambda tx: tx.users.add_mail_token(a_mail_token(user.id), digest=digest, now=NOW))
    assert await things.run(lambda tx: tx.users.prune_expired(before=NOW + HOUR)) == 0
    assert await things.run(lambda tx: tx.users.prune_expired(before=NOW + HOUR + SECOND)) == 1
    assert (
        await things.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=NOW))
        is None
    )


async def test_address_comes_back_once_and_only_to_whom_it_was_taken_from(things: Things) -> None:
    user = await things.user(email="gross@example.com")
    taken = await things.user(email="weiß@example.com")

    async def restored(user_id: str, folded: str, email: str) -> bool:
        return await things.run(
            lambda tx: tx.users.restore_email(user_id, folded=folded, email=email, mailbox=email, now=NOW)
        )

    assert not await restored(user.id, "other@example.com", "groß@example.com")
    assert not await restored(user.id, "gross@example.com", taken.email)
    assert await restored(user.id, "gross@example.com", "groß@example.com")
    assert not await restored(user.id, "groß@example.com", "gross@example.com")
