"""Sign-up: a new user, and for some actor types their organization."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from czo_auth.core.actors import ActorType
from czo_auth.core.budgets import consume_budget, network_budget
from czo_auth.core.context import Context
from czo_auth.core.errors import RateLimited, SignUpNotAllowed, UserAlreadyExists, ValidationFailed
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import checked_image, checked_name
from czo_auth.core.flows.organizations.create import create_organization
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sign_in.verify_email import VerifyEmail
from czo_auth.core.flows.users.password_choice import check_choice
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_SIGN_UPS_A_DAY
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email, deliverable_email
from czo_auth.core.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """Input for a sign-up."""

    email: str
    name: str
    password: str = field(repr=False)
    image: str | None = None
    organization_name: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict, repr=False)


class SignUp:
    """Creates users, at their own or an operator's request."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._verify_email = VerifyEmail(services)

    async def sign_up(
        self, actor: str, new: NewUser, *, context: Context, callback_url: str | None = None
    ) -> tuple[User, Organization | None]:
        """
        Sign up for the actor type *actor*.

        Args:
            callback_url: Where the link of the confirmation redirects to; already checked.

        Raises:
            UnknownActorType, SignUpNotAllowed: By the registry.
            ValidationFailed, PasswordTooShort, PasswordTooLong, PasswordCompromised: The input is not valid.
            UserAlreadyExists: The address is taken.
            RateLimited: Too many sign-ups from this network.
        """
        await self._services.limits.hit("sign_up", ip=context.ip, account=None)
        actor_type = self._services.actors.get(actor)
        if not actor_type.sign_up_open:
            raise SignUpNotAllowed
        if new.organization_name is not None and not actor_type.founds_organization:
            raise ValidationFailed(details=(("organizationName", "This actor type has no organization."),))
        user, organization = await self.create(
            new, actor_types=(actor_type,), email_verified=False, context=context, is_own=True
        )
        if self._services.policies.confirms_sign_up:
            # The account exists: a refusal would say that it does not. Another mail can be requested later.
            with suppress(RateLimited):
                await self._verify_email.send(user.email, context=context, callback_url=callback_url)
        return user, organization

    async def create(
        self,
        new: NewUser,
        *,
        actor_types: tuple[ActorType, ...],
        email_verified: bool,
        context: Context,
        is_own: bool = False,
    ) -> tuple[User, Organization | None]:
        """
        Create a user regardless of the registry; for operators.

        Args:
            is_own: Whether a stranger asked for it, which has a bound for each network.
        """
        # First, so that an unknown field is always reported, whatever else is wrong.
        by_host = context.actor_kind in ("operator", "system")
        fields = self._services.policies.user_fields.of_new_user(new.fields, by_host=by_host)
        email = canonical_email(new.email)
        name, image = checked_name(new.name), checked_image(new.image)
        if new.organization_name is not None:
            checked_name(new.organization_name, field="organizationName")
        await check_choice(self._services, new.password)
        granted = frozenset({self._services.actors.default.name, *(actor.name for actor in actor_types)})
        if await self._services.transactions.read(lambda tx: tx.users.find_by_email(email)) is not None:
            raise UserAlreadyExists
        password_hash = await self._services.hashing.hash_password(new.password)
        user = User(
            id=new_id(context.now),
            email=email,
            mailbox=deliverable_email(new.email),
            name=name,
            image=image,
            email_verified=email_verified,
            password_hash=password_hash,
            actor_types=granted,
            credential_version=1,
            has_factor=False,
            banned_at=None,
            fields=fields,
            language=None if context.actor_kind == "operator" else context.language,
            made_by="operator" if context.actor_kind == "operator" else None,
            created_at=context.now,
            updated_at=context.now,
        )

        def store_user(tx: Transaction) -> Organization | None:
            # Checked after the row was inserted: a change of address that releases this one has committed by then.
            if not tx.users.add(user) or tx.email_changes.is_reserved(email, but_for=None, now=tx.now):
                raise UserAlreadyExists
            if is_own and not by_host:
                consume_budget(tx, network_budget("sign_ups", MAX_SIGN_UPS_A_DAY, context))
            tx.record(
                AuditEvent(
                    action=types.USER_REGISTERED, user_id=user.id, details={"actorTypes": sorted(granted)}
                )
            )
            if new.organization_name is None:
                return None
            return create_organization(
                tx,
                user.id,
                name=new.organization_name,
                slug=None,
                policy=self._services.policies.organizations,
            )

        by_themselves = context if context.user_id or context.method else context.by(user.id, "pwd")
        return user, await self._services.transactions.run(store_user, by_themselves)
