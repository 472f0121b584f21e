"""How a flow on somebody else's account spends the proof of who asks for it."""

from __future__ import annotations

from collections.abc import Callable

from czo_auth.core.transaction import Transaction

ConsumeProof = Callable[[Transaction], object]
"""Spends a proof, at the beginning of the transaction of the change."""


def no_proof(tx: Transaction) -> None:
    """Spend nothing: an operator with a shell has proved enough."""


def consume_proof(tx: Transaction, consume: ConsumeProof) -> None:
    """
    Spend the proof of an administrator who acts on somebody else.

    It locks the administrator's own row and the change locks another: two who act on each other take turns.
    """
    if consume is not no_proof:
        tx.users.lock_administrators()
    consume(tx)
