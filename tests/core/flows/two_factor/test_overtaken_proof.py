"""
A proof counts for the account as the flow saw it: what another request changes in between is refused.

Each test lets something happen before the first, the second and every further time that a flow goes to the database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from czo_auth.core.api_keys.quota import QuotaUpdate
from czo_auth.core.context import Context
from czo_auth.core.events import types
from czo_auth.core.flows.api_keys.changes import ApiKeyChanges
from czo_auth.core.flows.organizations.changes import OrganizationChanges
from czo_auth.core.flows.organizations.two_factor import Proof
from czo_auth.core.flows.service_accounts.manage import NewServiceAccount
from czo_auth.core.flows.sessions.issue import end_sessions, issue_session
from czo_auth.core.flows.webhooks.input import NewWebhook
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from tests.core.flows.deployment import NOW, Deployment, outcome
from tests.support.interrupt import Interruption
from tests.support.records import a_factor, a_passkey
from tests.support.users import from_here

PASSWORD = "correct horse battery staple"
MOMENTS = 12
"""More than any of the flows goes to the database; each test stops when one was left alone."""


async def owner_with_a_password(deployment: Deployment, name: str, *, proved: bool = True) -> Principal:
    """Settle somebody with a password, signed in just now; with the second factor just proved."""
    user = await deployment.user(name)
    hashed = await deployment.runtime.services.hashing.hash_password(PASSWORD)

    def settle(tx: Transaction) -> str:
        tx.users.set_password(user.id, password_hash=hashed, now=NOW)
        return issue_session(
            tx.acting_as(from_here(NOW)),
            user,
            actor_type="customer",
            amr=("pwd", "otp") if proved else ("pwd",),
            auth_time=NOW,
            factor_proved_at=NOW if proved else None,
            remembered=True,
            policy=deployment.runtime.services.policies.sessions,
        ).session_token

    return await deployment.proved(await deployment.transactions.run(settle))


async def put_app(deployment: Deployment, person: Principal) -> None:
    """Give *person* an authenticator app, of which these tests need no code."""
    factor = a_factor(person.user_id, now=NOW)

    def put(tx: Transaction) -> None:
        tx.two_factor.put_factor(factor)
        tx.users.bump_credential_version(person.user_id, now=NOW)

    await deployment.transactions.run(put)


async def put_passkey(deployment: Deployment, person: Principal, *, turns_on: bool = True) -> str:
    passkey = a_passkey(person.user_id, now=NOW, rp_id="localhost")

    def put(tx: Transaction) -> None:
        assert tx.passkeys.add(passkey)
        if turns_on:
            tx.users.set_passkeys_enabled(person.user_id, NOW, now=NOW)

    await deployment.transactions.run(put)
    return passkey.id


def by(person: Principal) -> Context:
    return from_here(NOW).of(person)


async def count_codes(deployment: Deployment, person: Principal) -> int:
    return await deployment.transactions.read(lambda tx: tx.two_factor.count_codes(person.user_id))


async def recorded(deployment: Deployment, person: Principal, action: str) -> int:
    """Count the acts of *person* that were recorded."""
    found = await deployment.audit(action)
    return sum(record.context.user_id == person.user_id for record in found)


# --- factors ---------------------------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_no_codes_are_made_for_a_user_whose_factor_was_removed_in_the_meantime(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    manage = deployment.runtime.manage_two_factor
    for moment in range(1, MOMENTS):
        ada = await owner_with_a_password(deployment, f"ada{moment}")
        await put_app(deployment, ada)
        overtaken = Interruption(
            deployment.transactions,
            lambda ada=ada: manage.disable(password=PASSWORD, code=None, everything=True, context=by(ada)),
            before=moment,
            monkeypatch=monkeypatch,
        )
        ended = await outcome(
            overtaken.during(manage.regenerate_codes(password=PASSWORD, code=None, context=by(ada)))
        )
        if not overtaken.came:
            assert ended == "done"
            return
        assert ended in ("TwoFactorNotEnabled", "ReauthenticationRequired"), moment
        assert await count_codes(deployment, ada) == 0
        assert await recorded(deployment, ada, types.BACKUP_CODES_REGENERATED) == 0
    raise AssertionError("the flow never ended")


@pytest.mark.each_database
async def test_factor_is_turned_off_once(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    manage = deployment.runtime.manage_two_factor
    for moment in range(1, MOMENTS):
        ada = await owner_with_a_password(deployment, f"ada{moment}")
        await put_app(deployment, ada)

        def disable(ada: Principal = ada) -> Awaitable[None]:
            return manage.disable(password=PASSWORD, code=None, context=by(ada))

        overtaken = Interruption(deployment.transactions, disable, before=moment, monkeypatch=monkeypatch)
        ended = await outcome(overtaken.during(disable()))
        assert await recorded(deployment, ada, types.TWO_FACTOR_DISABLED) == 1
        if not overtaken.came:
            assert ended == "done"
            return
        assert ended in ("TwoFactorNotEnabled", "ReauthenticationRequired"), moment
    raise AssertionError("the flow never ended")


@pytest.mark.each_database
async def test_app_added_in_the_meantime_is_not_replaced_without_being_asked(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a passkey an app is started with recent proof; replacing one takes ``replace`` and the password."""
    enable = deployment.runtime.enable_two_factor
    for moment in range(1, MOMENTS):
        ada = await owner_with_a_password(deployment, f"ada{moment}")
        await put_passkey(deployment, ada)
        overtaken = Interruption(
            deployment.transactions,
            lambda ada=ada: put_app(deployment, ada),
            before=moment,
            monkeypatch=monkeypatch,
        )
        begun = enable.begin(password=None, code=None, replace=False, issuer=None, context=by(ada))
        ended = await outcome(overtaken.during(begun))
        pending = await deployment.transactions.read(
            lambda tx, ada=ada: tx.two_factor.find_enrollment(ada.user_id, lineage_id=ada.lineage_id, now=NOW)
        )
        if not overtaken.came:
            assert ended == "done"
            assert pending is not None
            assert not pending.replaces
            return
        assert ended in ("TotpAlreadyEnabled", "ReauthenticationRequired"), moment
        assert pending is None
    raise AssertionError("the flow never ended")


# --- everything that asks for recent proof ---------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Sensitive:
    """
    Attributes:
        action: What is recorded of it.
        prepare: Makes what it is about, and gives what is then done.
    """

    action: str
    prepare: Callable[[Deployment, Principal], Awaitable[Callable[[], Awaitable[object]]]]


async def regenerate(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    await put_app(deployment, ada)
    manage = deployment.runtime.manage_two_factor
    return lambda: manage.regenerate_codes(password=PASSWORD, code=None, context=by(ada))


async def disable_all(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    await put_app(deployment, ada)
    manage = deployment.runtime.manage_two_factor
    return lambda: manage.disable(password=PASSWORD, code=None, everything=True, context=by(ada))


async def remove_passkey(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    passkey_id = await put_passkey(deployment, ada, turns_on=False)
    return lambda: deployment.runtime.manage_passkeys.remove(passkey_id, password=PASSWORD, context=by(ada))


async def change_address(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    change = deployment.runtime.change_email
    email = f"new-{ada.user_id}@example.com"
    return lambda: change.request(new_email=email, password=PASSWORD, context=by(ada))


async def change_password(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    passwords = deployment.runtime.passwords
    return lambda: passwords.change(current=PASSWORD, new=f"{PASSWORD} 2", context=by(ada))


async def reauthenticate(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    proof = deployment.runtime.reauthentication
    return lambda: proof.renew(password=PASSWORD, code=None, context=by(ada))


async def delete_account(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    delete = deployment.runtime.delete_user
    return lambda: delete.delete_own(password=PASSWORD, code=None, context=by(ada))


async def export(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    return lambda: deployment.runtime.export_user.export_own(context=by(ada))


async def raise_quota(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    manage, key = deployment.runtime.manage_api_keys, (await deployment.api_key(ada)).api_key

    def to(maximum: int) -> Awaitable[object]:
        quota = QuotaUpdate(given=frozenset({"quota_max", "quota_period"}), maximum=maximum, period="day")
        changes = ApiKeyChanges(given=frozenset(), quota=quota, password=PASSWORD)
        return manage.change(key.id, changes, context=by(ada))

    await to(1)
    return lambda: to(5)


async def demand_factors(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    await put_app(deployment, ada)
    acme = await deployment.organization(ada)
    changes = OrganizationChanges(
        given=frozenset({"require_two_factor_from"}), require_two_factor_from=NOW + timedelta(days=30)
    )
    return lambda: deployment.organizations.update(acme.id, changes, context=by(ada))


async def exempt(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    acme = await deployment.organization(ada)
    bob = await deployment.member(acme, f"bob-{ada.user_id}", "member")
    factors = deployment.runtime.organization_factors
    until = NOW + timedelta(days=7)
    return lambda: factors.exempt(
        acme.id, bob.user_id, until=until, reason="ill", proof=Proof(password=PASSWORD), context=by(ada)
    )


async def make_service_account(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    acme = await deployment.organization(ada)
    new = NewServiceAccount(name="ci", scopes=())
    manage = deployment.runtime.manage_service_accounts
    return lambda: manage.create(acme.id, new, proof=Proof(password=PASSWORD), context=by(ada))


async def make_webhook(deployment: Deployment, ada: Principal) -> Callable[[], Awaitable[object]]:
    acme = await deployment.organization(ada)
    new = NewWebhook(url="https://hooks.example.com/", events=("*",))
    manage = deployment.runtime.webhooks
    return lambda: manage.create(acme.id, new, proof=Proof(password=PASSWORD), context=by(ada))


SENSITIVE = {
    "backup codes": Sensitive(types.BACKUP_CODES_REGENERATED, regenerate),
    "turning factors off": Sensitive(types.TWO_FACTOR_DISABLED, disable_all),
    "a passkey removed": Sensitive(types.PASSKEY_REMOVED, remove_passkey),
    "another address": Sensitive(types.EMAIL_CHANGE_REQUESTED, change_address),
    "another password": Sensitive(types.USER_UPDATED, change_password),
    "a newer proof": Sensitive(types.REAUTHENTICATED, reauthenticate),
    "deletion": Sensitive(types.USER_DELETED, delete_account),
    "export": Sensitive(types.USER_EXPORTED, export),
    "a quota": Sensitive(types.API_KEY_CHANGED, raise_quota),
    "a rule with a date": Sensitive(types.ORGANIZATION_UPDATED, demand_factors),
    "an exemption": Sensitive(types.TWO_FACTOR_EXEMPTED, exempt),
    "a service account": Sensitive(types.SERVICE_ACCOUNT_CREATED, make_service_account),
    "a webhook": Sensitive(types.WEBHOOK_CREATED, make_webhook),
}


@pytest.mark.parametrize("name", SENSITIVE)
async def test_session_that_ends_in_the_meantime_changes_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Once all sessions were ended, requests of theirs that are still running change nothing more."""
    sensitive = SENSITIVE[name]
    for moment in range(1, MOMENTS):
        ada = await owner_with_a_password(deployment, f"ada{moment}")
        act = await sensitive.prepare(deployment, ada)
        before = []

        async def end_everything(ada: Principal = ada, before: list[int] = before) -> None:
            before.append(len(await deployment.audit(sensitive.action)))

            def end(tx: Transaction) -> None:
                if tx.users.lock(ada.user_id) is not None:
                    tx.users.bump_credential_version(ada.user_id, now=NOW)
                    end_sessions(tx.acting_as(by(ada)), ada.user_id, reason="password_changed")

            await deployment.transactions.run(end)

        started = len(await deployment.audit(sensitive.action))
        overtaken = Interruption(
            deployment.transactions, end_everything, before=moment, monkeypatch=monkeypatch
        )
        ended = await outcome(overtaken.during(act()))
        finished = len(await deployment.audit(sensitive.action))
        if not overtaken.came:
            assert (ended, finished) == ("done", started + 1)
            return
        was_done = before[0] > started
        assert (ended == "done") == was_done, (moment, ended)
        assert finished == before[0], moment
    raise AssertionError("the flow never ended")
