"""Attacks that ask who has an account, by what an answer holds (S24). tests/attacks/timing.py looks at its time."""

from __future__ import annotations

import pytest

from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import Account, Session

pytestmark = pytest.mark.deep


async def test_telling_users_apart_at_sign_in(live: Live, root: Session) -> None:
    banned, wrong = await live.people.sign_up(), await live.people.sign_up()
    ban = f"/admin/users/{banned.id}/ban"
    accepted(await live.api.post(ban, {"reason": "stolen"}, bearer=root.token))
    given = [
        {"email": "nobody-at-all@example.com", "password": "some password"},
        {"email": wrong.email, "password": "some password"},
        {"email": banned.email, "password": "some password"},
        {"email": banned.email, "password": banned.password},
        {"email": "no address", "password": "some password"},
    ]
    for path in ("/sign-in/email", "/customer/sign-in/email"):
        answers = [await live.api.post(path, body) for body in given]
        for answer in answers:
            refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")
        assert len({answer.text for answer in answers}) == 1
        assert len({tuple(name for name in answer.headers if name != "date") for answer in answers}) == 1


@pytest.mark.parametrize("path", ["/request-password-reset", "/send-verification-email"])
async def test_telling_users_apart_by_mail(live: Live, victim: Account, path: str) -> None:
    answers = [
        await live.api.post(path, {"email": email}) for email in (victim.email, "nobody-at-all@example.com")
    ]
    assert [accepted(answer) for answer in answers] == [{"status": True}] * 2
