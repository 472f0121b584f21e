"""What programs hold, and how each attempt with it must be answered: accounts, keys, device requests, tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.fuzz.model.records import (
    DEAD,
    MUST_ENROLL,
    NO_FACTOR,
    NO_KEY,
    Key,
    Organization,
    Person,
    Refused,
    Session,
)

DEVICE_CODE_LIFE = timedelta(minutes=10)
DEVICE_KEY_LIFE = timedelta(days=90)
ANSWER_LIFE = timedelta(minutes=10)
TOKEN_LIFE = timedelta(minutes=15)
LEEWAY = timedelta(minutes=1)
FETCHED_TWICE = timedelta(minutes=1)
NO_USER_CODE: Refused = (400, "INVALID_USER_CODE")
NO_DEVICE_CODE: Refused = (400, "INVALID_DEVICE_CODE")
LATE_DEVICE_CODE: Refused = (400, "EXPIRED_DEVICE_CODE")


@dataclass(eq=False)
class ServiceAccount:
    id: str
    organization: Organization
    scopes: list[str]
    is_enabled: bool = True
    is_over: bool = False


@dataclass(eq=False)
class AccountKey:
    """A key of a service account: of nobody, and only in its organization."""

    account: ServiceAccount
    id: str
    text: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    is_enabled: bool = True
    is_rotated: bool = False
    is_over: bool = False

    def accepts(self, *, now: datetime) -> Refused:
        """Say what a use gets; nothing that happens to a person matters."""
        expired = self.expires_at is not None and self.expires_at <= now
        dead = self.is_over or expired or not self.is_enabled or not self.account.is_enabled
        return NO_KEY if dead else None

    @property
    def rights(self) -> list[str]:
        return [scope for scope in self.scopes if scope in self.account.scopes]


@dataclass(eq=False)
class DeviceRequest:
    """A device that asks for a key; the first session that decides is the only one that may."""

    device_code: str
    user_code: str
    asked_at: datetime
    organization: Organization | None = None
    status: str = "pending"
    lineage: object | None = None
    decided_by: object | None = None
    key: Key | None = None
    fetched_at: datetime | None = None
    polled_at: datetime | None = None
    pause: int = 5

    def opens(self, session: Session, *, now: datetime) -> Refused:
        """Say whether *session* may decide."""
        if now >= self.asked_at + DEVICE_CODE_LIFE:
            return LATE_DEVICE_CODE
        if self.status != "pending":
            return NO_USER_CODE
        own = self.lineage in (None, session.lineage)
        return None if own else (403, "ACCESS_DENIED")

    def gives(self, *, now: datetime) -> Refused:
        """Say what the device gets that asks for its key."""
        if self.status == "fetched":
            return NO_DEVICE_CODE
        if now >= self.asked_at + DEVICE_CODE_LIFE:
            return LATE_DEVICE_CODE
        if self.status == "denied":
            return 400, "ACCESS_DENIED"
        if self.status == "pending":
            soon = self.polled_at is not None and now - self.polled_at < timedelta(seconds=self.pause)
            self.pause += 5 if soon else 0
            self.polled_at = now
            return 400, "SLOW_DOWN" if soon else "AUTHORIZATION_PENDING"
        assert self.key is not None
        late = self.key.expires_at is not None and self.key.expires_at <= now
        return NO_DEVICE_CODE if self.key.is_over or late else None


@dataclass(eq=False)
class Token:
    """What a key was exchanged for: it never has more rights than the key has now, and is over with it."""

    key: Key
    text: str
    scopes: list[str]
    ends_at: datetime

    def is_uncertain(self, *, now: datetime) -> bool:
        """Say whether it ended, and clocks may still differ."""
        return self.ends_at <= now <= self.ends_at + LEEWAY + timedelta(seconds=1)

    def accepts(self, of_key: Refused, *, now: datetime) -> Refused:
        """Say what a use gets, given what one of its key would."""
        if now > self.ends_at:
            return DEAD
        return of_key if of_key in (None, MUST_ENROLL, NO_FACTOR) else DEAD


@dataclass(eq=False)
class Repeated:
    """A request with a name, and the answer that a repetition gets."""

    body: dict[str, Any]
    answer: dict[str, Any]
    at: datetime


@dataclass(eq=False)
class Webhook:
    organization: Organization
    id: str
    secrets: int = 1
    is_over: bool = False


@dataclass(eq=False)
class Programs:
    """Everything of this kind that the machine made."""

    accounts: list[ServiceAccount] = field(default_factory=list)
    keys: list[AccountKey] = field(default_factory=list)
    requests: list[DeviceRequest] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    webhooks: list[Webhook] = field(default_factory=list)
    repeated: dict[tuple[object, str], Repeated] = field(default_factory=dict)

    def end_keys(self, *, account: ServiceAccount, now: datetime) -> int:
        """End the keys of an account; gives how many of them were alive."""
        ended = 0
        for key in self.keys:
            if key.account is account and not key.is_over:
                ended += key.expires_at is None or key.expires_at > now
                key.is_over = True
        return ended

    def end_account(self, account: ServiceAccount, *, now: datetime) -> int:
        account.is_over = True
        return self.end_keys(account=account, now=now)

    def end_organization(self, organization: Organization, *, now: datetime) -> int:
        """End what belongs to an organization; gives how many keys were alive."""
        for webhook in self.webhooks:
            webhook.is_over = webhook.is_over or webhook.organization is organization
        theirs = [each for each in self.accounts if each.organization is organization and not each.is_over]
        return sum(self.end_account(account, now=now) for account in theirs)


def is_assured(organization: Organization, session: Session) -> Refused:
    """Say whether *session* may give something to programs of an organization with a rule about two factors."""
    if organization.required_from is None:
        return None
    if session.person.factor is None:
        return NO_FACTOR
    return None if session.aal == 2 else (403, "REAUTHENTICATION_REQUIRED")


def administers(organization: Organization, person: Person, *, now: datetime) -> Refused:
    """Say whether *person* is let in as an owner or admin."""
    refused = organization.admits(person, now=now)
    if refused is None and organization.roles[person] not in ("owner", "admin"):
        refused = (403, "FORBIDDEN")
    return refused
