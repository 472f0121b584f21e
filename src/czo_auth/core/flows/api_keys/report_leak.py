"""Report leaked API keys. Anyone who has the whole key can have it revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.context import Context
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.events import types
from czo_auth.core.events.types import API_KEY_LEAK_REPORTED, AuditEvent
from czo_auth.core.flows.api_keys.new_key import key_event
from czo_auth.core.flows.api_keys.owners import recipients_of
from czo_auth.core.flows.services import Services
from czo_auth.core.limits import MAX_LEAK_PLACE, MAX_LEAK_SOURCE
from czo_auth.core.mail import MailDraft
from czo_auth.core.mail_drafts import compose_api_key_leaked
from czo_auth.core.text import escape_control
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import tokens

RESPONSE_INTERVAL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReport:
    """
    A leaked key, and where it was seen.

    Attributes:
        key: The complete key; only its digest is used.
        url: Where it was seen, as the reporter says.
        source: What kind of place that is: ``commit``, ``issue_body`` and the like.
    """

    key: str = field(repr=False)
    url: str | None = field(default=None, repr=False)
    source: str | None = None


class ReportLeak:
    """
    Revokes or quarantines leaked keys, by the policy, and notifies their owners: for a service account, all owners of
    its organization.

    Knowing the complete key is the proof: its holder could do more harm by using it. The response is the same for a
    live and for an unknown key, and takes the same time: one transaction is committed either way, mail is sent in the
    background, and the response waits for the next fixed interval, to hide the few extra writes.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def one(self, report: LeakReport, *, context: Context) -> None:
        """
        Take a report of one key.

        Raises:
            ValidationFailed: It is not a complete key; no key has such a form, so this reveals nothing.
            RateLimited: By address.
        """
        await self._services.limits.hit("leak", ip=context.ip, account=None)
        if not self._is_key(report.key, now=context.now):
            raise ValidationFailed(details=(("key", "This is not a whole API key."),))
        await self._take([report], context=context)

    async def many(self, reports: Sequence[LeakReport], *, context: Context) -> None:
        """
        Accept the findings of a scanner. Tokens without the form of a key are skipped.

        Raises:
            RateLimited: By address.
        """
        await self._services.limits.hit("leak", ip=context.ip, account=None)
        keys = [report for report in reports if self._is_key(report.key, now=context.now)]
        await self._take(keys, context=context)

    def _is_key(self, text: str, *, now: datetime) -> bool:
        return self._services.policies.api_keys.accepts(text, now=now)

    async def _take(self, reports: Sequence[LeakReport], *, context: Context) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        for message in await self._services.transactions.run(self._step(reports, context=context), context):
            self._services.background.post(message)
        await asyncio.sleep(RESPONSE_INTERVAL_SECONDS - (clock() - began) % RESPONSE_INTERVAL_SECONDS)

    def _step(
        self, reports: Sequence[LeakReport], context: Context
    ) -> Callable[[Transaction], list[MailDraft]]:
        # For a key that was seen in several places, the first one is reported.
        seen = {tokens.digest(report.key): report for report in reversed(reports)}

        def end_keys(tx: Transaction) -> list[MailDraft]:
            found = tx.api_keys.find_by_digests(seen.keys())
            ended = {digest: key for digest, key in found.items() if self._end(tx, key)}
            counts = {"reported": len(seen), "acted": len(ended)}
            tx.record(AuditEvent(action=API_KEY_LEAK_REPORTED, details=counts))
            messages = []
            for digest, key in ended.items():
                place = self._place(seen[digest].url)
                for audit_event in self._facts(key, place, seen[digest].source):
                    tx.record(audit_event)
                messages += self._notices(tx, key, place)
            return messages

        return end_keys

    def _end(self, tx: Transaction, key: ApiKey) -> bool:
        if self._services.policies.api_keys.when_leaked == "quarantine":
            return tx.api_keys.switch_off(key.id, now=tx.now)
        return tx.api_keys.revoke(key.id, reason="leaked", now=tx.now)

    def _facts(self, key: ApiKey, place: str | None, source: str | None) -> list[AuditEvent]:
        """Notify of the leak, and of the revocation."""
        response = self._services.policies.api_keys.when_leaked
        more: dict[str, object] = {"response": response}
        if place is not None:
            more["url"] = place
        if source:
            more["source"] = escape_control(self._masked(source), limit=MAX_LEAK_SOURCE)
        facts = [key_event(types.API_KEY_LEAKED, key, **more)]
        if response == "revoke":
            facts.append(key_event(types.API_KEY_REVOKED, key, reason="leaked"))
        return facts

    def _notices(self, tx: Transaction, key: ApiKey, place: str | None) -> list[MailDraft]:
        response = self._services.policies.api_keys.when_leaked
        return [
            compose_api_key_leaked(
                reader,
                name=key.name,
                prefix=key.prefix,
                place=place,
                response=response,
                at=tx.now,
            )
            for reader in recipients_of(tx, key)
        ]

    def _place(self, url: str | None) -> str | None:
        """
        Sanitize a reported URL: http or https, on one line, without credentials.

        It may contain the key itself (S20). A URL that hides a token in percent-encoding is not kept.
        """
        if not url or not url.startswith(("https://", "http://")):
            return None
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        masked = self._masked(f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}")
        plain = masked
        while (decoded := unquote(plain)) != plain:
            plain = decoded
        if self._masked(plain) != plain:
            return None
        return escape_control(masked, limit=MAX_LEAK_PLACE)

    def _masked(self, text: str) -> str:
        return tokens.masked(text, api_key_prefix=self._services.policies.api_keys.prefixes)
