"""What the port of the users promises."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from czo_auth.core.limits import MAX_COUNTED
from czo_auth.core.paging import Page, PageQuery, page_by_id
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import MailPurpose, MailToken, UserFilter
from czo_auth.core.users.user import User
from tests.support.records import HOUR, NOW, SECOND, a_digest, a_user, an_id
from tests.support.rows import Rows


def a_mail_token(user_id: str, *, purpose: MailPurpose = "reset_password") -> MailToken:
    return MailToken(
        id=an_id(), user_id=user_id, purpose=purpose, email="new@example.com", expires_at=NOW + HOUR
    )


async def test_user_comes_back_as_kept(rows: Rows) -> None:
    user = await rows.user(
        name="Zoë 🦊",
        image="https://example.com/a.png",
        email_verified=True,
        password_hash="$argon2id$…",
        actor_types=frozenset({"merchant", "admin", "customer"}),
        banned_at=NOW,
    )
    assert await rows.run(lambda tx: tx.users.find(user.id)) == user
    assert await rows.run(lambda tx: tx.users.find_by_email(user.email)) == user
    assert await rows.run(lambda tx: tx.users.lock(user.id)) == user


async def test_unknown_users_are_not_found(rows: Rows) -> None:
    assert await rows.run(lambda tx: tx.users.find(an_id())) is None
    assert await rows.run(lambda tx: tx.users.find_by_email("nobody@example.com")) is None
    assert await rows.run(lambda tx: tx.users.lock(an_id())) is None


async def test_second_user_with_an_address_is_not_added(rows: Rows) -> None:
    user = await rows.user()
    other = a_user(email=user.email, name="Eve")
    assert not await rows.run(lambda tx: tx.users.add(other))
    assert await rows.run(lambda tx: tx.users.find(other.id)) is None
    assert await rows.run(lambda tx: tx.users.find_by_email(user.email)) == user


async def test_refused_address_leaves_the_transaction_usable(rows: Rows) -> None:
    user = await rows.user()
    other = a_user()

    def step(tx: Transaction) -> tuple[bool, bool]:
        return tx.users.add(a_user(email=user.email)), tx.users.add(other)

    assert await rows.run(step) == (False, True)
    assert await rows.run(lambda tx: tx.users.find(other.id)) == other


async def test_factor_shows_on_its_user_only(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    await rows.factor(user)
    assert await rows.run(lambda tx: tx.users.find(user.id)) == replace(user, has_factor=True, has_totp=True)
    assert await rows.run(lambda tx: tx.users.lock(user.id)) == replace(user, has_factor=True, has_totp=True)
    assert await rows.run(lambda tx: tx.users.find(other.id)) == other


async def test_changes_change_what_they_say_and_nothing_else(rows: Rows) -> None:
    user = await rows.user(password_hash="old")
    later = NOW + SECOND
    expected = replace(user, updated_at=later)

    await rows.run(
        lambda tx: tx.users.update_profile(user.id, name="Bea", image="i", email_verified=True, now=later)
    )
    expected = replace(expected, name="Bea", image="i", email_verified=True)
    assert await rows.run(lambda tx: tx.users.find(user.id)) == expected

    await rows.run(lambda tx: tx.users.set_password(user.id, password_hash="new", now=later))
    expected = replace(expected, password_hash="new")
    assert await rows.run(lambda tx: tx.users.find(user.id)) == expected

    actor_types = frozenset({"customer", "admin"})
    await rows.run(
        lambda tx: tx.users.set_actor_types(user.id, actor_types=actor_types, grants={}, now=later)
    )
    expected = replace(expected, actor_types=actor_types)
    assert await rows.run(lambda tx: tx.users.find(user.id)) == expected

    await rows.run(lambda tx: tx.users.bump_credential_version(user.id, now=later))
    expected = replace(expected, credential_version=2)
    assert await rows.run(lambda tx: tx.users.find(user.id)) == expected

    await rows.run(lambda tx: tx.users.set_ban(user.id, banned_at=NOW, reason="spam", now=later))
    assert await rows.run(lambda tx: tx.users.find(user.id)) == replace(expected, banned_at=NOW)
    await rows.run(lambda tx: tx.users.set_ban(user.id, banned_at=None, reason=None, now=later))
    assert await rows.run(lambda tx: tx.users.find(user.id)) == expected


async def test_changes_leave_other_users_alone(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    await rows.run(lambda tx: tx.users.set_password(user.id, password_hash="new", now=NOW))
    assert await rows.run(lambda tx: tx.users.find(other.id)) == other


async def test_search_goes_through_all_users_in_pages(rows: Rows) -> None:
    users = [await rows.user() for _ in range(5)]
    found: list[User] = []
    page: Page[User] | None = None
    while page is None or page.next_cursor is not None:
        page = await read_page(rows, PageQuery(limit=2, cursor=page and page.next_cursor))
        found += page.items
    assert found == users
    assert page.total == 5


async def read_page(rows: Rows, query: PageQuery) -> Page[User]:
    def read(tx: Transaction) -> Page[User]:
        found = tx.users.search(UserFilter(), page=query)
        return page_by_id(
            found, query, count=partial(tx.users.count, UserFilter()), id_of=lambda user: user.id
        )

    return await rows.run(read)


async def test_page_that_is_the_whole_list_is_not_counted(rows: Rows) -> None:
    users = [await rows.user() for _ in range(3)]
    counted: list[int | None] = []

    def count(*, up_to: int | None) -> int:
        counted.append(up_to)
        return len(users)

    def total(query: PageQuery) -> int:
        return page_by_id(users, query, count=count, is_filtered=True, id_of=lambda user: user.id).total

    assert total(PageQuery(limit=3)) == 3
    assert counted == []
    assert total(PageQuery(limit=2)) == 3
    assert total(PageQuery(limit=3, cursor=users[0].id)) == 3
    assert total(PageQuery(limit=2, counts_all=False)) == 3
    assert counted == [None, None, MAX_COUNTED + 1]


async def test_pages_of_users_lead_back_as_they_led_forward(rows: Rows) -> None:
    users = [await rows.user() for _ in range(5)]
    first = await read_page(rows, PageQuery(limit=2))
    second = await read_page(rows, PageQuery(limit=2, cursor=first.next_cursor))
    last = await read_page(rows, PageQuery(limit=2, cursor=second.next_cursor))
    assert (first.previous_cursor, last.next_cursor) == (None, None)
    assert last.items == users[4:]
    back = await read_page(rows, PageQuery(limit=2, cursor=last.previous_cursor, backward=True))
    assert (back.items, back.next_cursor) == (users[2:4], second.next_cursor)
    again = await read_page(rows, PageQuery(limit=2, cursor=back.previous_cursor, backward=True))
    assert (again.items, again.previous_cursor) == (users[:2], None)


async def test_users_are_filtered_by_status_actor_type_and_two_factors(rows: Rows) -> None:
    plain = await rows.user(email_verified=True)
    unverified = await rows.user(email_verified=False, actor_types=frozenset({"customer", "merchant"}))
    banned = await rows.user(email_verified=True)
    await rows.run(lambda tx: tx.users.set_ban(banned.id, banned_at=NOW, reason="spam", now=NOW))
    enrolled = await rows.user()
    await rows.factor(enrolled)

    async def found(matching: UserFilter) -> set[str]:
        def read(tx: Transaction) -> tuple[set[str], int]:
            users = tx.users.search(matching, page=PageQuery(limit=10))
            return {user.id for user in users}, tx.users.count(matching)

        ids, total = await rows.run(read)
        assert len(ids) == total
        return ids

    assert await found(UserFilter(status="banned")) == {banned.id}
    assert await found(UserFilter(status="unverified")) >= {unverified.id}
    assert plain.id in await found(UserFilter(status="active"))
    assert await found(UserFilter(actor_type="merchant")) == {unverified.id}
    assert await found(UserFilter(actor_type="merch")) == set()
    assert await found(UserFilter(two_factor=True)) == {enrolled.id}
    assert await found(UserFilter(two_factor=False, text=plain.email)) == {plain.id}


@pytest.mark.parametrize("text", ["50%", "a_c", "back\\slash", "ANN", "nn@exa"])
async def test_search_is_literal_and_ignores_case(rows: Rows, text: str) -> None:
    wanted = {
        "50%": await rows.user(name="50% off"),
        "a_c": await rows.user(name="a_c"),
        "back\\slash": await rows.user(name="back\\slash"),
        "ANN": await rows.user(name="Anna", email="x@example.org"),
        "nn@exa": await rows.user(name="B", email="bnn@example.org"),
    }
    await rows.user(name="500 abc backXslash")
    found = await rows.run(lambda tx: tx.users.search(UserFilter(text=text), page=PageQuery(limit=10)))
    assert found == [wanted[text]]
    assert await rows.run(lambda tx: tx.users.count(UserFilter(text=text))) == 1


async def test_mail_token_is_handed_out_once(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    token = a_mail_token(user.id)
    await rows.run(lambda tx: tx.users.add_mail_token(token, digest=digest, now=NOW))
    assert (
        await rows.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=NOW))
        == token
    )
    assert (
        await rows.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=NOW)) is None
    )


async def test_password_tokens_of_one_user_are_dropped_together(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    purposes: tuple[MailPurpose, ...] = ("reset_password", "recover_password", "verify_email")
    kept: dict[tuple[str, MailPurpose], str] = {}
    for owner in (user, other):
        for purpose in purposes:
            digest = kept[owner.id, purpose] = a_digest()
            token = a_mail_token(owner.id, purpose=purpose)
            await rows.run(lambda tx: tx.users.add_mail_token(token, digest=digest, now=NOW))  # noqa: B023
    await rows.run(lambda tx: tx.users.drop_password_tokens(user.id))
    alive = [
        place
        for place, digest in kept.items()
        if await rows.run(lambda tx: tx.users.take_mail_token(digest, purpose=place[1], now=NOW))  # noqa: B023
    ]
    assert alive == [(user.id, "verify_email"), *((other.id, purpose) for purpose in purposes)]


async def test_mail_token_serves_its_purpose_only(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    token = a_mail_token(user.id)
    await rows.run(lambda tx: tx.users.add_mail_token(token, digest=digest, now=NOW))
    assert (
        await rows.run(lambda tx: tx.users.take_mail_token(digest, purpose="verify_email", now=NOW)) is None
    )
    assert (
        await rows.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=NOW))
        == token
    )


async def test_expired_mail_token_is_not_handed_out(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    await rows.run(lambda tx: tx.users.add_mail_token(a_mail_token(user.id), digest=digest, now=NOW))
    late = NOW + HOUR
    assert (
        await rows.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=late))
        is None
    )


@pytest.mark.parametrize("opened", [True, False])
async def test_opened_mail_token_ends_the_ones_before_of_its_purpose(rows: Rows, opened: bool) -> None:
    user, stranger = await rows.user(), await rows.user()
    old, new, other, foreign = a_digest(), a_digest(), a_digest(), a_digest()
    for owner, digest, purpose, at in (
        (user, old, "reset_password", NOW - SECOND),
        (stranger, foreign, "reset_password", NOW - SECOND),
        (user, other, "verify_email", NOW - SECOND),
        (user, new, "reset_password", NOW),
    ):
        token = a_mail_token(owner.id, purpose=purpose)  # type: ignore[arg-type]
        await rows.run(lambda tx: tx.users.add_mail_token(token, digest=digest, now=at))  # noqa: B023
    await rows.run(lambda tx: tx.users.open_mail_token(new if opened else old, now=NOW))
    assert (await rows.run(lambda tx: tx.users.find_mail_token(old, now=NOW)) is None) == opened
    assert await rows.run(lambda tx: tx.users.find_mail_token(foreign, now=NOW)) is not None
    assert (
        await rows.run(lambda tx: tx.users.take_mail_token(new, purpose="reset_password", now=NOW))
        is not None
    )
    assert (
        await rows.run(lambda tx: tx.users.take_mail_token(other, purpose="verify_email", now=NOW))
        is not None
    )


async def test_pruning_deletes_expired_mail_tokens_only(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    await rows.run(lambda tx: tx.users.add_mail_token(a_mail_token(user.id), digest=digest, now=NOW))
    assert await rows.run(lambda tx: tx.users.prune_expired(before=NOW + HOUR)) == 0
    assert await rows.run(lambda tx: tx.users.prune_expired(before=NOW + HOUR + SECOND)) == 1
    assert (
        await rows.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=NOW)) is None
    )


async def test_address_comes_back_once_and_only_to_whom_it_was_taken_from(rows: Rows) -> None:
    user = await rows.user(email="gross@example.com")
    taken = await rows.user(email="weiß@example.com")

    async def restored(user_id: str, folded: str, email: str) -> bool:
        return await rows.run(
            lambda tx: tx.users.restore_email(user_id, folded=folded, email=email, mailbox=email, now=NOW)
        )

    assert not await restored(user.id, "other@example.com", "groß@example.com")
    assert not await restored(user.id, "gross@example.com", taken.email)
    assert await restored(user.id, "gross@example.com", "groß@example.com")
    assert not await restored(user.id, "groß@example.com", "gross@example.com")


async def test_foreign_hashes_are_sampled(rows: Rows) -> None:
    current = "$argon2id$v=19$m=1,t=1,p=1$"
    for number, text in enumerate((None, current + "ours", "$2b$04$theirs", "a%b_c:theirs")):
        await rows.user(password_hash=text, name=f"user {number}")
    found = await rows.run(lambda tx: tx.users.sample_foreign_hashes(current, limit=10))
    assert {text for text in found if "theirs" in text} == {"$2b$04$theirs", "a%b_c:theirs"}
    assert current + "ours" not in found
    assert len(await rows.run(lambda tx: tx.users.sample_foreign_hashes(current, limit=1))) == 1
