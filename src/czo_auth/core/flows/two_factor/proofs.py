"""How a flow on someone else's account spends the caller's proof."""

from __future__ import annotations

from collections.abc import Callable

from czo_auth.core.transaction import Transaction

ConsumeProof = Callable[[Transaction], object]
"""Spends a proof, at the beginning of the transaction of the change."""


def no_proof(tx: Transaction) -> None:
    """Spend nothing: an operator with a shell needs no further proof."""


def consume_proof(tx: Transaction, consume: ConsumeProof, *, on: str | None = None) -> None:
    """
    Spend the proof of an administrator who acts on someone else.

    It locks the administrator's own row and the change locks another, so two administrators who act on each other are
    serialized.

    Args:
        on: The user whom the change locks. The two rows are locked in the order of their ids.
    """
    if consume is not no_proof:
        tx.users.lock_administrators()
        if on is not None and on < (tx.context.user_id or ""):
            tx.users.lock(on)
    consume(tx)
