"""API keys of another system: a user's go to the user, an organization's to a service account of that organization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.lifetime import notice_within
from czo_auth.core.api_keys.retired import RetiredKeyFormat
from czo_auth.core.api_keys.scopes import RESERVED, SCOPE
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import checked_name
from czo_auth.core.flows.administration.import_records import Kind, Outcome, SourceApiKey, SourceOrganization
from czo_auth.core.flows.api_keys.new_key import find_longest_days, key_event
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_SCOPES, MAX_SERVICE_ACCOUNT_KEYS, MAX_SERVICE_ACCOUNTS
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.service_accounts.account import ServiceAccount
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User

SERVICE_ACCOUNT_NAME: Final = "Imported keys"
SourceDigest = Callable[[Kind, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    """
    Whose an imported key becomes.

    Attributes:
        max_keys: How many live keys they may have.
        longest_days: The longest life of a key of theirs; None for no bound.
        may_have: Whether a key of theirs may have a scope.
    """

    user_id: str | None = None
    service_account_id: str | None = None
    organization_id: str | None = None
    actor_type: str | None = None
    kind: str
    max_keys: int
    longest_days: int | None
    may_have: Callable[[str], bool]


class ImportKeys:
    """
    Imports keys whose form is registered as a retired one, inside the transaction that imports their owner.

    Args:
        digest: Returns the digest under which an imported record is remembered, so that nothing is imported twice.
    """

    def __init__(self, services: Services, digest: SourceDigest) -> None:
        self._services = services
        self._digest = digest

    def import_for_user(self, tx: Transaction, user: User, record: SourceApiKey, notes: list[str]) -> Outcome:
        """Import a key of a user. The caller has locked the row of the user."""
        policy = self._services.policies.api_keys
        owner = _Owner(
            user_id=user.id,
            actor_type=self._services.actors.default.name,
            kind="user",
            max_keys=policy.limit,
            longest_days=policy.longest_days,
            may_have=_is_plain_scope,
        )
        return self._import_key(tx, owner, record, notes)

    def import_for_organization(
        self, tx: Transaction, organization: Organization, record: SourceOrganization, notes: list[str]
    ) -> list[tuple[Kind, Outcome]]:
        """
        Import the keys that an organization owned, as keys of one service account of it, which gets their scopes.

        A later run never adds scopes to the account, and does not create it again after it was deleted here.
        """
        importable = [each for each in record.api_keys if self._form(each) is not None]
        account = self._service_account(tx, organization, record, importable, notes) if importable else None
        if importable and account is None:
            return [("apiKey", "refused") for _ in record.api_keys]
        scopes = frozenset(() if account is None else account.scopes)
        owner = _Owner(
            service_account_id=None if account is None else account.id,
            organization_id=organization.id,
            kind="service account",
            max_keys=MAX_SERVICE_ACCOUNT_KEYS,
            longest_days=find_longest_days(self._services, organization),
            may_have=scopes.__contains__,
        )
        return [("apiKey", self._import_key(tx, owner, each, notes)) for each in record.api_keys]

    def _service_account(
        self,
        tx: Transaction,
        organization: Organization,
        record: SourceOrganization,
        keys: list[SourceApiKey],
        notes: list[str],
    ) -> ServiceAccount | None:
        digest = self._digest("serviceAccount", record.source_id)
        target = tx.imported_records.find(digest)
        if target is not None:
            account = tx.service_accounts.find(organization.id, target)
            if account is None:
                notes.append("the service account of its API keys was imported before, and deleted here")
            return account
        if tx.service_accounts.count_of(organization.id) >= MAX_SERVICE_ACCOUNTS:
            notes.append(f"its API keys were not imported: it has {MAX_SERVICE_ACCOUNTS} service accounts")
            return None
        wanted = dict.fromkeys(scope for key in keys for scope in key.scopes)
        scopes = [
            scope
            for scope in wanted
            if _is_plain_scope(scope) and self._services.may_service_account_use(scope)
        ]
        account = ServiceAccount(
            id=new_id(tx.now),
            organization_id=organization.id,
            name=SERVICE_ACCOUNT_NAME,
            description=None,
            scopes=tuple(scopes[:MAX_SCOPES]),
            enabled=True,
            created_by=None,
            created_at=tx.now,
            updated_at=tx.now,
        )
        tx.service_accounts.add(account)
        tx.imported_records.add(digest, target_id=account.id, now=tx.now)
        details = {
            "serviceAccountId": account.id,
            "name": account.name,
            "scopes": list(account.scopes),
            "imported": True,
        }
        tx.record(
            AuditEvent(action=types.SERVICE_ACCOUNT_CREATED, organization_id=organization.id, details=details)
        )
        notes.append(
            f"the API keys that it owned belong to its service account {SERVICE_ACCOUNT_NAME!r} here"
        )
        return account

    def _import_key(self, tx: Transaction, owner: _Owner, record: SourceApiKey, notes: list[str]) -> Outcome:
        form = self._form(record)
        if form is None:
            notes.append(
                f"the API key {record.name!r} was not imported: "
                + (
                    f"CZO_AUTH_RETIRED_KEY_FORMATS does not list the prefix {record.prefix}"
                    if record.prefix
                    else "it has no prefix, so it could not be distinguished from other credentials"
                )
            )
            return "refused"
        digest = self._digest("apiKey", record.source_id)
        if tx.imported_records.find(digest) is not None:
            return "there"
        if (
            tx.api_keys.count_live(owner.user_id or owner.service_account_id or "", now=tx.now)
            >= owner.max_keys
        ):
            notes.append(f"a {owner.kind} has at most {owner.max_keys} API keys")
            return "refused"
        longest = None if owner.longest_days is None else tx.now + timedelta(days=owner.longest_days)
        end = min(at for at in (record.expires_at, form.ends_at, longest) if at is not None)
        if end <= tx.now:
            notes.append(f"the API key {record.name!r} has expired")
            return "refused"
        if tx.api_keys.find_by_digests([record.digest]):
            return "there"
        scopes = tuple(scope for scope in record.scopes if owner.may_have(scope))[:MAX_SCOPES]
        if len(scopes) < len(record.scopes):
            notes.append(
                f"the API key {record.name!r} lost scopes that only administrators grant, or that are none"
                if owner.user_id is not None
                else f"the API key {record.name!r} lost scopes that its service account does not have"
            )
        key = ApiKey(
            id=new_id(tx.now),
            user_id=owner.user_id,
            service_account_id=owner.service_account_id,
            organization_id=owner.organization_id,
            actor_type=owner.actor_type,
            name=checked_name(record.name),
            prefix=(record.shown or record.prefix)[:8],
            scopes=scopes,
            metadata=None,
            enabled=record.enabled,
            expires_at=end,
            last_used_at=None,
            rotated_at=None,
            created_at=record.created_at or tx.now,
            updated_at=tx.now,
            noticed_days=notice_within(end, now=tx.now),
        )
        tx.api_keys.add(key, digest=record.digest)
        tx.imported_records.add(digest, target_id=key.id, now=tx.now)
        tx.record(key_event(types.API_KEY_CREATED, key, imported=True))
        return "imported"

    def _form(self, record: SourceApiKey) -> RetiredKeyFormat | None:
        return next(
            (form for form in self._services.policies.api_keys.retired if form.prefix == record.prefix), None
        )


def _is_plain_scope(scope: str) -> bool:
    return SCOPE.fullmatch(scope) is not None and not scope.startswith(RESERVED)
