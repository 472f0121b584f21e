"""
What happened, and whether it may have.

Clients write down when each operation was invoked and when it was answered, and how. Afterwards, without the server,
a checker asks whether some order in which each operation acts at one instant between the two could have given these
answers from a thing that can be redeemed once, or used until it is revoked. If there is none, the history is a fault.

The model is small enough for exact rules instead of a search (Wing and Gong's question for a single object):

- *Redeem* (a code, a token): may succeed once. It may be refused only if a success or a revocation can come before it.
- *Revoke* (or whatever ends a thing): ends it at some instant between invocation and answer.
- *Use* (a session, a key): a success must have begun before the revocation was answered. It may be refused only if a
  revocation can come before it.
- What was refused once is over: nothing that begins after such an answer succeeds.

An operation without an answer may have acted at any time after its invocation, or never; so it excuses others and is
never at fault itself.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from tests.attacks.volley import Shot

Act = Literal["redeem", "use", "revoke"]
Outcome = Literal["ok", "refused", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """
    One operation on one thing.

    Attributes:
        invoked: Before anything was sent.
        answered: After all was received; infinite without an answer.
    """

    act: Act
    thing: str
    outcome: Outcome
    invoked: float
    answered: float = math.inf

    def precedes(self, other: Operation) -> bool:
        """Say whether it was over when *other* began."""
        return self.answered < other.invoked


@dataclass
class History:
    """Operations in any order."""

    operations: list[Operation] = field(default_factory=list)

    def add(self, act: Act, thing: str, shot: Shot, *, ok: bool) -> None:
        """Write down one answer of a volley."""
        outcome: Outcome = "unknown" if shot.status is None else "ok" if ok else "refused"
        # A server may begin to act on what is not whole yet, so the invocation is the first byte.
        answered = math.inf if outcome == "unknown" else shot.ended
        self.operations.append(
            Operation(act=act, thing=thing, outcome=outcome, invoked=shot.began, answered=answered)
        )


def faults(history: History | Iterable[Operation]) -> list[str]:
    """Check a history; gives one sentence for each fault, none for one that may have happened."""
    operations = history.operations if isinstance(history, History) else list(history)
    things: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        assert operation.invoked <= operation.answered, "answered before it was invoked"
        things[operation.thing].append(operation)
    return [f"{thing}: {fault}" for thing, found in things.items() for fault in _faults_of(found)]


def _faults_of(operations: list[Operation]) -> list[str]:
    found = []
    redeemed = [each for each in operations if each.act == "redeem" and each.outcome == "ok"]
    revoked = [each for each in operations if each.act == "revoke" and each.outcome == "ok"]
    # There are thousands of uses, and few other operations: of the uses that were refused, the first says it all.
    ends = [each for each in operations if each.act != "use" and each.outcome != "refused"]
    refusals = [each for each in operations if each.act == "redeem" and each.outcome == "refused"]
    refused_uses = [each for each in operations if each.act == "use" and each.outcome == "refused"]
    refusals += sorted(refused_uses, key=lambda each: each.answered)[:1]
    if len(redeemed) > 1:
        found.append(f"redeemed {len(redeemed)} times")
    for each in operations:
        if each.act == "revoke":
            continue
        if each.outcome == "ok" and any(end.precedes(each) for end in revoked):
            found.append(f"a {each.act} begun after the revocation was answered succeeded")
        if each.outcome == "refused" and not any(_may_end(end, each) for end in ends):
            found.append(f"a {each.act} was refused while nothing could have ended it")
        if each.outcome == "ok" and any(_was_over(refused, each) for refused in refusals):
            found.append(f"a {each.act} begun after a refusal was answered succeeded")
    return found


def _was_over(refused: Operation, later: Operation) -> bool:
    """Say whether *refused* shows that the thing was over before *later* began."""
    # A redemption that was refused says nothing of uses: it may have come second.
    is_about_it = refused.act == "use" or (refused.act == "redeem" and later.act == "redeem")
    return refused.outcome == "refused" and is_about_it and refused.precedes(later)


def _may_end(end: Operation, refused: Operation) -> bool:
    """Say whether *end* may be the reason for a refusal."""
    if end is refused or end.outcome == "refused" or end.invoked > refused.answered:
        return False
    return end.act == "revoke" or (end.act == "redeem" and refused.act == "redeem")
