"""Checks of the tables: protected users, the audit log, waiting deliveries, the age of the signing key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.actors import ActorRegistry
from czo_auth.core.flows.administration.overview import SOON, DeploymentOverview
from czo_auth.core.flows.sessions.signing_keys import ROTATION
from czo_auth.doctor.finding import Check, Finding

COVERAGE: Final = Check(
    "two-factor-coverage",
    "A password alone opens an account that has no second factor.",
    ("6.3.3",),
)
POLICY: Final = Check(
    "two-factor-policy",
    "From its date on, a rule refuses users who have no second factor.",
    ("6.3.3",),
)
SHORT_SECRETS: Final = Check(
    "short-totp-secrets",
    "RFC 4226 (R6) requires 128 bits. Shorter imported secrets are accepted for a limited time only.",
    ("11.2.3",),
)
PASSKEYS: Final = Check(
    "passkeys",
    "A passkey works only on the site that it was created for, so it cannot be phished. Its relying party id "
    "cannot be changed.",
    ("6.3.3",),
)
USERS: Final = Check(
    "users", "A user whose second factor is stopped cannot sign in without help.", ("6.3.1",)
)
OLD_HASHES: Final = Check(
    "stored-hashes", "Imported or older hashes are replaced when their owners sign in.", ("11.4.2",)
)
SIGNING_KEY: Final = Check(
    "signing-key",
    "It signs access tokens (ES256). A running server rotates it automatically.",
    ("9.1.1", "9.1.2", "13.3.4"),
)
AUDIT: Final = Check("audit-log", "A changed or removed record breaks the hash chain.", ("16.4.2",))
EVENTS: Final = Check("events", "Waiting and refused events have not reached their consumers.")
MAILS: Final = Check("mails", "Undelivered mails contain links and warnings that users wait for.")
CHECKS: Final = (
    *(COVERAGE, POLICY, SHORT_SECRETS, PASSKEYS, USERS, OLD_HASHES, SIGNING_KEY, AUDIT, EVENTS, MAILS),
)

_LATE: Final = timedelta(days=1)
_LONG_WAIT: Final = timedelta(minutes=5)


def unknown_data(why: str) -> Iterator[Finding]:
    """Return a finding for each check that says that it could not be made."""
    for check in CHECKS:
        yield check.unknown(why)


def check_data(
    found: DeploymentOverview, actors: ActorRegistry, *, rp_id: str | None, now: datetime
) -> Iterator[Finding]:
    """
    Evaluate what was read.

    Args:
        rp_id: The relying party id of passkeys; None where they are not available.
    """
    yield _coverage(found, actors)
    yield _policy(found)
    yield _short_secrets(found)
    yield _passkeys(found, rp_id)
    yield _users(found)
    yield _hashes(found)
    yield _signing_key(found, now=now)
    yield _audit(found)
    yield _events(found, now=now)
    yield _mails(found, now=now)


def _coverage(found: DeploymentOverview, actors: ActorRegistry) -> Finding:
    told = [f"{each.users} {each.actor_type}, {each.with_factor} with 2FA" for each in found.coverage]
    administrators = [each for each in found.coverage if actors.administers(each.actor_type)]
    text = "; ".join(told)
    unasked = [each.actor_type for each in administrators if not each.demanded]
    if unasked:
        return COVERAGE.fail(
            f"{text}; {', '.join(unasked)} can administer without a second factor",
            "Set requires_two_factor on every actor type that administers.",
        )
    without = sum(
        each.users - each.with_factor for each in found.coverage if each.demanded and not each.dated
    )
    if without:
        return COVERAGE.warn(
            f"{text}; {without} of those who must have a factor have none yet, and can only enroll",
            "Ask them to sign in and enroll, or remove the actor type from them.",
        )
    if not any(each.users for each in administrators):
        return COVERAGE.warn(
            f"{text}; nobody administers",
            "czo-auth users create --email you@example.com --name You --actor-type admin",
        )
    return COVERAGE.ok(text)


def _policy(found: DeploymentOverview) -> Finding:
    due = [(name, counts.refused, counts.soon) for name, counts in found.due_by_type.items()]
    due += [(f"“{each.name}”", each.refused, each.soon) for each in found.due_by_organization]
    due = [each for each in due if each[1] or each[2]]
    if not due:
        return POLICY.ok(f"no rule with a date refuses a user now or within {SOON.days} days")
    text = "; ".join(f"{name}: {refused} refused, {soon} due soon" for name, refused, soon in due)
    return POLICY.warn(
        f"without a second factor: {text}",
        "Owners see these users in the two-factor report of their organization and can exempt members. Users with an "
        "affected actor type are notified by mail 14, 7 and 1 days ahead.",
    )


def _short_secrets(found: DeploymentOverview) -> Finding:
    counts = found.renewals
    total = counts.overdue + counts.waiting
    if not total:
        return SHORT_SECRETS.ok("every secret has at least 128 bits")
    text = f"{_many(total, 'secret')} under 128 bits, {counts.overdue} past their deadline"
    if counts.next_at is not None:
        text += f", the next deadline is {counts.next_at:%Y-%m-%d}"
    return SHORT_SECRETS.warn(
        text,
        "Ask their owners to enroll their authenticator app again. They are notified by mail 14, 7 and 1 days ahead; "
        "after the deadline they can do nothing else.",
    )


def _passkeys(found: DeploymentOverview, rp_id: str | None) -> Finding:
    total = sum(found.passkeys.values())
    if rp_id is None:
        advice = "Give the deployment a host name with CZO_AUTH_BASE_URL, and install the extra `passkeys`."
        text = "not available: the base URL is an IP address, or the package is missing"
        return (
            PASSKEYS.fail(f"{text}; {total} cannot be used", advice) if total else PASSKEYS.warn(text, advice)
        )
    elsewhere = {other: number for other, number in found.passkeys.items() if other != rp_id}
    if elsewhere:
        told = ", ".join(f"{number} for {other}" for other, number in sorted(elsewhere.items()))
        return PASSKEYS.fail(
            f"{total} in total; {told} do not work with {rp_id}",
            "Restore CZO_AUTH_PASSKEY_RP_ID (or CZO_AUTH_BASE_URL), or ask their owners to add new ones.",
        )
    return PASSKEYS.ok(f"{total} for {rp_id}; they stop working if CZO_AUTH_PASSKEY_RP_ID changes")


def _users(found: DeploymentOverview) -> Finding:
    counts = found.users
    free = counts.users - counts.banned
    text = (
        f"{_many(counts.users, 'user')}, {counts.with_factor} with 2FA, {free - counts.with_factor} without, "
        f"{counts.banned} banned, {found.locked} locked, {found.stopped} stopped"
    )
    if found.stopped:
        return USERS.warn(
            text,
            "Fifty wrong codes in a row: `czo-auth audit tail --json | grep auth.2fa.locked` shows the users. Verify "
            "their identity before `czo-auth users reset-2fa`.",
        )
    return USERS.ok(text)


def _hashes(found: DeploymentOverview) -> Finding:
    if not found.foreign_hashes:
        return OLD_HASHES.ok("all with the current parameters")
    return OLD_HASHES.warn(
        f"{_many(found.foreign_hashes, 'password')} hashed with other parameters",
        "Ask their owners to sign in. Ban or reset the accounts that are not used.",
    )


def _signing_key(found: DeploymentOverview, *, now: datetime) -> Finding:
    made_at = found.signing_key_made_at
    if made_at is None:
        return SIGNING_KEY.unknown("none yet: the first start creates one", "Run `czo-auth serve`.")
    age, left = now - made_at, made_at + ROTATION - now
    if left < -_LATE:
        return SIGNING_KEY.warn(
            f"{age.days} days old, its rotation is {_many((-left).days, 'day')} late",
            "Check that a server is running: its housekeeping rotates the key.",
        )
    return SIGNING_KEY.ok(
        f"{_many(max(age.days, 0), 'day')} old, the next in {_many(max(left.days, 0), 'day')}"
    )


def _audit(found: DeploymentOverview) -> Finding:
    audit = found.audit
    if audit.broken_at is not None:
        return AUDIT.fail(
            f"broken at sequence {audit.broken_at}",
            "The table was changed. Keep a copy, and compare it with a backup: `czo-auth audit verify`.",
        )
    return AUDIT.ok(
        f"the last {_many(audit.records, 'record')} continue the chain; `czo-auth audit verify` checks all"
    )


def _events(found: DeploymentOverview, *, now: datetime) -> Finding:
    sinks = found.outbox.sinks
    if not sinks:
        return EVENTS.ok(f"{_many(found.outbox.events, 'event')} stored; no sink is configured")
    text = "; ".join(
        f"{sink.name}: {sink.behind} waiting"
        + (f", {sink.dead_lettered} refused" if sink.dead_lettered else "")
        for sink in sinks
    )
    late = [
        sink.name
        for sink in sinks
        if sink.oldest_waiting_at is not None and now - sink.oldest_waiting_at > _LONG_WAIT
    ]
    if late:
        return EVENTS.warn(
            text,
            f"Check that the receiver of {_listed(late)} is up, and that a server with this sink is running.",
        )
    refused = [sink.name for sink in sinks if sink.dead_lettered]
    if refused:
        return EVENTS.warn(
            text, f"The log says why {_listed(refused)} refused them; they are stored as dead letters."
        )
    return EVENTS.ok(text)


def _mails(found: DeploymentOverview, *, now: datetime) -> Finding:
    if found.mails_wait_since is None:
        return MAILS.ok("none waiting")
    hours = int((now - found.mails_wait_since) / timedelta(hours=1))
    return MAILS.warn(
        f"{_many(found.mails_waiting, 'mail')} waiting, the first for {_many(hours, 'hour')}",
        "Check the mail server of CZO_AUTH_SMTP_URL. After two days, waiting mails are dropped.",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
