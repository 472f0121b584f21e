"""
Slows down guesses at passwords (S25).

A guess is counted before the password is checked, so that concurrent guesses share one budget, and uncounted if the
password was correct. Counters are keyed by the address that was entered, whether or not an account has it, so a refusal
reveals nothing about accounts. A network is refused before the account counts its guess, so that one network alone
never brings an account to its limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from czo_auth.core.context import Context
from czo_auth.core.errors import RateLimited
from czo_auth.core.flows.services import Services
from czo_auth.core.limits import MAX_GUESS_COUNTERS
from czo_auth.core.throttle import ACCOUNT_GUESSES, SOURCE_GUESSES, GuessSchedule, network_of
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import tokens

CHECKED_EVERY: Final = 500
"""How many guesses in this process until it trims the table to its bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessCounter:
    """One counter of a guess; *key* is a digest, which reveals no address."""

    key: str
    schedule: GuessSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedGuess:
    """A guess that was counted in advance; uncount it if it was correct."""

    counters: tuple[GuessCounter, ...]
    now: datetime

    def take_back(self, tx: Transaction) -> None:
        """Uncount a correct guess; part of the transaction that grants access."""
        for counter in self.counters:
            tx.password_guesses.take_back(counter.key, schedule=counter.schedule, now=self.now)


class PasswordGuesses:
    """Counts guesses at passwords, at sign-in and within sessions."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._counted = 0

    async def count_sign_in(
        self, account: str | None, *, browser_token: str | None, context: Context
    ) -> CountedGuess:
        """
        Count a guess at sign-in.

        Args:
            account: The entered address in canonical form; None if it was not an address.
            browser_token: The token of a browser that is known to this account and has its own budget.

        Raises:
            RateLimited: Too many wrong passwords; nothing was counted.
        """
        if account is None:
            return CountedGuess(counters=(), now=context.now)
        if browser_token is not None:
            return await self._count([_counter(SOURCE_GUESSES, "browser", browser_token)], now=context.now)
        network = network_of(context.ip) if context.ip is not None else ""
        counters = [
            _counter(SOURCE_GUESSES, "network", account, network),
            _counter(ACCOUNT_GUESSES, "account", account),
        ]
        return await self._count(counters, now=context.now)

    async def count_in_session(self, *, context: Context) -> CountedGuess:
        """
        Count a guess within a session; its owner's other sessions are not slowed down.

        Raises:
            RateLimited: Too many wrong passwords; nothing was counted.
        """
        principal = context.caller
        lineage = principal.lineage_id or principal.require_user()
        return await self._count([_counter(SOURCE_GUESSES, "session", lineage)], now=context.now)

    def forget_account(self, tx: Transaction, account: str) -> None:
        """Clear the guesses at an account whose password was replaced."""
        tx.password_guesses.forget(_counter(ACCOUNT_GUESSES, "account", account).key)

    async def _count(self, counters: Sequence[GuessCounter], *, now: datetime) -> CountedGuess:
        if not self._services.policies.limits_guesses:
            return CountedGuess(counters=(), now=now)

        def count(tx: Transaction) -> None:
            for counter in counters:
                until = tx.password_guesses.count(counter.key, schedule=counter.schedule, now=now)
                if until is not None:
                    raise RateLimited(retry_after=max(1, math.ceil((until - now).total_seconds())))

        await self._services.transactions.run(count)
        self._counted += 1
        if self._counted % CHECKED_EVERY == 0:
            self._services.background.spawn(self._keep_bound())
        return CountedGuess(counters=tuple(counters), now=now)

    async def _keep_bound(self) -> None:
        await self._services.transactions.run(lambda tx: tx.password_guesses.keep_newest(MAX_GUESS_COUNTERS))


def _counter(schedule: GuessSchedule, *key: str) -> GuessCounter:
    # No part contains NUL, so that no two keys are ambiguous.
    return GuessCounter(key=tokens.digest_bytes("\0".join(key).encode()), schedule=schedule)
