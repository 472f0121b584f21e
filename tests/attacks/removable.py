"""What can be taken away: people and service accounts with keys, tokens and sessions, made directly in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from czo_auth import Auth
from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.context import Context, system_context
from czo_auth.core.flows.users.mailed_tokens import store_mail_token
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.service_accounts.account import ServiceAccount
from czo_auth.core.sessions.access_tokens import ExchangedToken
from czo_auth.core.sessions.session import Session
from czo_auth.core.users.store import MailPurpose
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens
from tests.support.rows import Rows

PASSWORD = "correct horse battery staple"


@dataclass
class Credential:
    """
    Something that can be taken away.

    Attributes:
        path: The route that it reaches until then, one of `tests.attacks.guarded_routes`.
        spared: Uses that each process may still let in after the change, because a limit of one use is no refusal.
        kind: Of the change.
        name: Of this one alone.
        asked_at: When the change was sent.
        gone_at: From when on no use may be let in.
    """

    text: str
    path: str = "/"
    spared: int = 0
    kind: str = ""
    name: str = ""
    asked_at: float | None = None
    gone_at: float | None = None


@dataclass(frozen=True)
class SignedIn:
    """A session, its token, and both credentials of it: that token and an access token."""

    session: Session
    token: str
    credentials: list[Credential]


@dataclass(frozen=True)
class Key:
    """An API key, and both credentials of it: its text and a token that it was exchanged for."""

    row: ApiKey
    text: str
    credentials: list[Credential]


class Removable:
    """Makes people and service accounts, and what can be taken from them."""

    def __init__(self, auth: Auth, *, password_hash: str) -> None:
        self.auth = auth
        self.rows = Rows(auth.storage)
        self._password_hash = password_hash

    @classmethod
    async def on(cls, auth: Auth) -> Removable:
        """Make it for the database of *auth*, which is open."""
        return cls(auth, password_hash=await auth.services.hashing.hash_password(PASSWORD))

    @property
    def context(self) -> Context:
        """The context of what happens now."""
        return system_context(self.auth.now())

    async def user(self, *actor_types: str, **changes: Any) -> User:
        """Make a customer, who may have more actor types."""
        return await self.rows.user(actor_types=frozenset({"customer", *actor_types}), **changes)

    async def user_with_password(self) -> User:
        """Make a customer whose password is `PASSWORD`."""
        return await self.user(password_hash=self._password_hash)

    async def user_with_app(self, *actor_types: str, **changes: Any) -> User:
        """Make a user with an authenticator app."""
        user = await self.user(*actor_types)
        await self.rows.factor(user, **changes)
        return user

    async def administrator(self) -> str:
        """Sign an administrator in; gives the token of the session."""
        return (await self.session(await self.user_with_app("admin"), actor_type="admin")).token

    async def session(self, user: User, path: str = "/", **changes: Any) -> SignedIn:
        """Sign a user in, with proof of everything."""
        text, now = tokens.new_token(tokens.SESSION), self.auth.now()
        fresh = {"auth_time": now, "factor_proved_at": now, "created_at": now}
        session = await self.rows.session(
            user,
            digest=tokens.digest(text),
            **{**fresh, "expires_at": now + timedelta(days=1), **changes},
        )
        access_token = self.auth.services.access_tokens.sign(session, restricted=False, now=now)
        return SignedIn(session, text, [Credential(text, path), Credential(access_token, path)])

    async def key(self, owner: User | ServiceAccount, path: str = "/", **changes: Any) -> Key:
        """Make a key, and exchange it."""
        text = tokens.new_token("czo_")
        given = {"digest": tokens.digest(text), "last_used_at": self.auth.now(), **changes}
        row = await (
            self.rows.key(owner, **given)
            if isinstance(owner, User)
            else self.rows.account_key(owner, **{"scopes": owner.scopes, **given})
        )
        return Key(row, text, [Credential(text, path), Credential(self._exchanged(row), path)])

    def _exchanged(self, key: ApiKey) -> str:
        access_tokens, now = self.auth.services.access_tokens, self.auth.now()
        token = ExchangedToken(
            subject=key.user_id or key.service_account_id or "",
            api_key_id=key.id,
            scopes=key.scopes,
            audience=access_tokens.audience,
            organization_id=key.organization_id,
            ends_at=now + timedelta(minutes=15),
        )
        return access_tokens.sign_exchanged(token, now=now)

    async def organization(self, member: User, role: str = "member") -> tuple[Organization, str]:
        """Make an organization with a member; gives the token of its owner's session too."""
        owner = await self.user_with_app()
        acme = await self.rows.organization({owner: "owner", member: role})
        return acme, (await self.session(owner)).token

    async def service_account(self) -> tuple[ServiceAccount, str]:
        """Make a service account; gives the token of its administrator's session too."""
        admin = await self.user()
        account = await self.rows.service_account(await self.rows.organization({admin: "admin"}))
        return account, (await self.session(admin)).token

    async def mailed_token(self, user: User, purpose: MailPurpose) -> str:
        """Make a token as it is mailed to a user."""
        token = tokens.new_token(tokens.MAIL)
        lifetime = timedelta(hours=1)
        await self.rows.run(
            lambda tx: store_mail_token(tx, user, token, purpose=purpose, lifetime=lifetime), self.context
        )
        return token
