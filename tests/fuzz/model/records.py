"""What the model knows of each person, session, key and organization."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pyotp

from tests.contract.people import Account

Refused = tuple[int, str] | None
MINUTE = timedelta(minutes=1)
STEP = 30
DEVICE_LIFE = timedelta(days=30)
LINK_LIFE = timedelta(hours=1)
CHANGE_LIFE = timedelta(days=1)
REVERT_LIFE = timedelta(days=7)
RANKS = ("viewer", "member", "admin", "owner")
LOCKS = (15 * MINUTE, 30 * MINUTE, 60 * MINUTE, 60 * MINUTE)
DEAD: Refused = (401, "INVALID_TOKEN")
NO_KEY: Refused = (401, "INVALID_API_KEY")
MUST_ENROLL: Refused = (403, "TWO_FACTOR_SETUP_REQUIRED")
NO_FACTOR: Refused = (403, "ORGANIZATION_TWO_FACTOR_REQUIRED")
NO_CHALLENGE: Refused = (401, "INVALID_TWO_FACTOR_COOKIE")
LOCKED: Refused = (429, "ACCOUNT_TEMPORARILY_LOCKED")
QUOTA_EXCEEDED: Refused = (429, "QUOTA_EXCEEDED")
FORBIDDEN: Refused = (403, "FORBIDDEN")
NOT_FOUND: Refused = (404, "NOT_FOUND")
UNPROVED: Refused = (403, "REAUTHENTICATION_REQUIRED")
NO_PASSWORD: Refused = (400, "INVALID_PASSWORD")


@dataclass(eq=False)
class Factor:
    """A secret with the codes that go with it; ``codes`` are the unspent ones."""

    secret: str
    codes: list[str]
    last_step: int = 0
    expires_at: datetime | None = None
    lineage: object = None

    def step_of(self, code: str, *, now: datetime, drift: int, after: int) -> int | None:
        """Find the earliest acceptable step that *code* is right for."""
        phone, current = pyotp.TOTP(self.secret), int(now.timestamp()) // STEP
        steps = range(current - drift, current + drift + 1)
        return next((step for step in steps if step > after and phone.generate_otp(step) == code), None)


@dataclass(eq=False)
class Person:
    account: Account
    factor: Factor | None = None
    pending: Factor | None = None
    used_codes: list[str] = field(default_factory=list)
    old_secrets: list[str] = field(default_factory=list)
    is_admin: bool = False
    is_banned: bool = False
    is_confirmed: bool = False
    invitations: int = 0
    failures: int = 0
    locked_until: datetime | None = None
    is_stopped: bool = False

    @property
    def id(self) -> str:
        return self.account.id

    @property
    def must_enroll(self) -> bool:
        return self.is_admin and self.factor is None


@dataclass(eq=False)
class Session:
    person: Person
    id: str
    token: str
    access_token: str
    actor: str
    aal: int
    auth_time: datetime
    proved_at: datetime | None
    issued_at: datetime
    expires_at: datetime
    leaf: str
    lineage: object = field(default_factory=object)
    wrong_codes: int = 0
    replaced: list[tuple[str, datetime]] = field(default_factory=list)
    is_over: bool = False


@dataclass(eq=False)
class Challenge:
    person: Person
    token: str
    actor: str
    auth_time: datetime
    expires_at: datetime
    renews: Session | None = None
    attempts: int = 0
    is_over: bool = False


@dataclass(eq=False)
class Device:
    """A trusted browser: what its cookie holds now, and held before."""

    person: Person
    id: str
    token: str
    expires_at: datetime
    replaced: list[str] = field(default_factory=list)
    is_over: bool = False


@dataclass(eq=False)
class Link:
    """What sets a new password; ``kind`` is ``mail`` or ``operator``."""

    person: Person
    token: str
    kind: str
    expires_at: datetime
    is_over: bool = False


@dataclass(eq=False)
class EmailChange:
    """A change of address: the link to the new one, and the link to the old one that takes it back."""

    person: Person
    token: str
    revert: str
    old: str
    new: str
    lineage: object
    asked_at: datetime
    confirmed_at: datetime | None = None
    is_replaced: bool = False
    is_over: bool = False

    @property
    def waits(self) -> bool:
        return self.confirmed_at is None and not self.is_replaced and not self.is_over


@dataclass
class Exemption:
    """How long a member need not have a factor, and since when they first need not."""

    since: datetime
    until: datetime


@dataclass(eq=False)
class Organization:
    id: str
    roles: dict[Person, str]
    required_from: datetime | None = None
    exemptions: dict[Person, Exemption] = field(default_factory=dict)
    grantor: Person = field(init=False)

    def __post_init__(self) -> None:
        self.grantor = next(iter(self.roles))

    def ranks_below(self, person: Person, role: str) -> bool:
        return RANKS.index(role) > RANKS.index(self.roles[person])

    def is_last_owner(self, person: Person) -> bool:
        return self.roles.get(person) == "owner" and list(self.roles.values()).count("owner") == 1

    def refuses(self, person: Person, *, now: datetime) -> bool:
        """Say whether a factor is demanded of *person* by now that they do not have."""
        if self.required_from is None or person.factor is not None:
            return False
        exemption = self.exemptions.get(person)
        return now >= (self.required_from if exemption is None else max(self.required_from, exemption.until))

    def admits(self, person: Person, *, now: datetime) -> Refused:
        """Say how a member is let in to what the organization is about."""
        if person not in self.roles:
            return 404, "NOT_FOUND"
        return NO_FACTOR if self.refuses(person, now=now) else None

    def lets(self, actor: Person, person: Person, *, now: datetime, leaving: bool = False) -> Refused:
        """Say how *actor* is let to change or remove *person*; everybody may leave."""
        refused = self.admits(actor, now=now)
        if refused is not None and not (leaving and refused == NO_FACTOR):
            return refused
        if not leaving and self.roles[actor] not in ("admin", "owner"):
            return 403, "FORBIDDEN"
        if person not in self.roles:
            return 404, "NOT_FOUND"
        return (403, "FORBIDDEN") if self.ranks_below(actor, self.roles[person]) else None


@dataclass(eq=False)
class Key:
    person: Person
    id: str
    text: str
    actor: str
    scopes: tuple[str, ...]
    organization: Organization | None = None
    expires_at: datetime | None = None
    is_enabled: bool = True
    is_rotated: bool = False
    is_over: bool = False
    quota: int | None = None
    uses: Counter[date] = field(default_factory=Counter)

    def spends(self, *, now: datetime) -> Refused:
        """Count a use of today's quota (UTC), if there is one."""
        if self.quota is None:
            return None
        if self.uses[now.date()] >= self.quota:
            return QUOTA_EXCEEDED
        self.uses[now.date()] += 1
        return None


@dataclass(eq=False)
class Invitation:
    """An invitation that was mailed; it counts as long as its sender could send it."""

    organization: Organization
    email: str
    role: str
    sender: Person
    id: str
    token: str
    expires_at: datetime
    is_over: bool = False
