"""A reset that waits, in the browser: the banner, the administrator's view, and the link in the mail."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from czo_auth import Auth
from czo_auth.core.context import system_context
from czo_auth.core.principal import Principal
from czo_auth.testing import Mailbox
from tests.browser.conftest import Deployment
from tests.browser.visitor import NewVisitor, Visitor


def ask(deployment: Deployment, admin: Visitor, user: Visitor) -> str:
    """Ask for a reset as on a server where it waits for a day; gives the mailed token."""
    mailbox = Mailbox()

    async def act(auth: Auth) -> None:
        asker = await auth.administration.find_by_email(admin.email)
        reset = await auth.recovery.ask(
            (await auth.administration.find_by_email(user.email)).id,
            reason="phone and codes lost",
            context=system_context(datetime.now(UTC)).of(
                Principal(
                    kind="session",
                    user_id=asker.id,
                    actor_type="admin",
                    actor_types=asker.actor_types,
                    may_use=lambda _: True,
                )
            ),
        )
        assert reset is not None

    deployment.operate(act, mail=mailbox, recovery_wait_seconds=86_400)
    return mailbox.tokens(user.email, "two_factor_reset_asked")[-1]


@pytest.mark.deep
def test_a_reset_that_waits_is_seen_and_cancelled_by_all_who_may(
    visit: NewVisitor, deployment: Deployment
) -> None:
    admin, bob, stranger = visit(email=deployment.new_admin()), visit(), visit(locale="fr-FR")
    admin.settle_as_admin()
    bob.settle()
    bob.enroll()

    ask(deployment, admin, bob)
    bob.open("/security")
    assert bob.sees("Your two-factor authentication will be reset")
    bob.look("security-reset")
    bob.press("Cancel the reset")
    assert bob.sees("Reset canceled.")
    assert not bob.sees("Your two-factor authentication will be reset")

    ask(deployment, admin, bob)
    admin.open("/admin")
    assert admin.sees("Pending resets")
    admin.look("admin-resets")
    admin.page.locator("main").get_by_role("link", name=bob.name).first.click()
    assert admin.sees("phone and codes lost")
    admin.look("admin-user-reset")
    admin.press("Cancel the reset")
    assert admin.sees("Reset canceled.")

    token = ask(deployment, admin, bob)
    stranger.open(f"/cancel-reset?token={token}")
    stranger.look("cancel-reset")
    stranger.press("Annuler la réinitialisation")
    assert stranger.path == "/sign-in"
    assert stranger.sees("Réinitialisation annulée.")
    stranger.open(f"/cancel-reset?token={token}")
    assert stranger.page.locator(".error").count() == 1
