"""The checker finds the faults of histories that are at fault, and no others."""

from __future__ import annotations

import math

import pytest

from tests.attacks.history import Act, History, Operation, Outcome, faults
from tests.attacks.volley import Shot


def op(act: Act, outcome: Outcome, invoked: float, answered: float, thing: str = "x") -> Operation:
    return Operation(act=act, thing=thing, outcome=outcome, invoked=invoked, answered=answered)


SOUND = {
    "nothing happened": [],
    "redeemed once, then refused": [op("redeem", "ok", 0, 1), op("redeem", "refused", 2, 3)],
    "the one that began last won": [op("redeem", "refused", 0, 5), op("redeem", "ok", 4, 6)],
    "two things, once each": [op("redeem", "ok", 0, 1, "a"), op("redeem", "ok", 0, 1, "b")],
    "used until it was revoked": [
        *(op("use", "ok", 0, 1), op("revoke", "ok", 2, 3), op("use", "refused", 4, 5)),
    ],
    "begun before the revocation was answered": [op("revoke", "ok", 0, 2), op("use", "ok", 1, 3)],
    "refused while the revocation was under way": [op("revoke", "ok", 0, 5), op("use", "refused", 1, 2)],
    "refused because an unanswered one may have won": [
        *(op("redeem", "unknown", 0, math.inf), op("redeem", "refused", 1, 2)),
    ],
    "an unanswered one beside the winner": [op("redeem", "unknown", 0, math.inf), op("redeem", "ok", 1, 2)],
    "redeemed while it was revoked": [op("revoke", "ok", 0, 2), op("redeem", "ok", 1, 3)],
    "a revocation that was refused ends nothing": [op("revoke", "refused", 0, 1), op("use", "ok", 2, 3)],
    "an unanswered revocation may have acted": [
        *(op("revoke", "unknown", 0, math.inf), op("use", "refused", 1, 2), op("use", "ok", 1, 2)),
    ],
    "an unanswered revocation may have come to nothing": [
        *(op("revoke", "unknown", 0, math.inf), op("use", "ok", 1, 2), op("redeem", "ok", 3, 4)),
    ],
    "an unanswered revocation may have acted late": [
        *(op("revoke", "unknown", 0, math.inf), op("use", "ok", 1, 2), op("use", "refused", 3, 4)),
    ],
    "an unanswered use is at fault for nothing": [
        *(op("revoke", "ok", 0, 1), op("use", "unknown", 2, math.inf), op("redeem", "unknown", 2, math.inf)),
    ],
    "two unanswered redemptions": [
        *(op("redeem", "unknown", 0, math.inf), op("redeem", "unknown", 0, math.inf)),
    ],
    "the winner's answer came after the losers'": [
        *(op("redeem", "ok", 0, 9), op("redeem", "refused", 1, 2), op("redeem", "refused", 3, 4)),
    ],
    "uses overlap the revocation and each other": [
        *(op("revoke", "ok", 2, 6), op("use", "ok", 1, 5), op("use", "refused", 3, 7), op("use", "ok", 4, 8)),
    ],
    "used after a second redemption was refused": [
        *(op("redeem", "ok", 0, 1), op("redeem", "refused", 2, 3), op("use", "ok", 4, 5)),
    ],
    "one thing revoked, the other used": [op("revoke", "ok", 0, 1, "a"), op("use", "ok", 2, 3, "b")],
}

FAULTY = {
    "redeemed twice, one after the other": [op("redeem", "ok", 0, 1), op("redeem", "ok", 2, 3)],
    "redeemed twice at the same time": [op("redeem", "ok", 0, 2), op("redeem", "ok", 1, 3)],
    "used after it was revoked": [op("revoke", "ok", 0, 1), op("use", "ok", 2, 3)],
    "redeemed after it was revoked": [op("revoke", "ok", 0, 1), op("redeem", "ok", 2, 3)],
    "refused before anything could have won": [op("redeem", "refused", 0, 1), op("redeem", "ok", 2, 3)],
    "refused although nobody ever won": [op("redeem", "refused", 0, 1), op("redeem", "refused", 0, 1)],
    "refused before the revocation began": [op("use", "refused", 0, 1), op("revoke", "ok", 2, 3)],
    "refused because of another thing": [
        *(op("redeem", "ok", 0, 1, "a"), op("redeem", "refused", 2, 3, "b")),
    ],
    "refused because a refused revocation was tried": [
        *(op("revoke", "refused", 0, 1), op("use", "refused", 2, 3)),
    ],
    "used after the earlier of two revocations": [
        *(op("revoke", "ok", 0, 1), op("use", "ok", 2, 3), op("revoke", "ok", 4, 5)),
    ],
    "redeemed after a refusal, beside an unanswered one": [
        *(op("redeem", "unknown", 0, math.inf), op("redeem", "refused", 1, 2), op("redeem", "ok", 3, 4)),
    ],
    "redeemed twice, beside an unanswered one": [
        *(op("redeem", "unknown", 0, math.inf), op("redeem", "ok", 1, 2), op("redeem", "ok", 1, 2)),
    ],
    "come back to life while the revocation is under way": [
        *(op("revoke", "ok", 0, 9), op("use", "refused", 1, 2), op("use", "ok", 3, 4)),
    ],
    "come back to life after an unanswered revocation": [
        *(op("revoke", "unknown", 0, math.inf), op("use", "refused", 1, 2), op("use", "ok", 3, 4)),
    ],
    "redeemed after its use was refused": [
        *(op("revoke", "ok", 0, 9), op("use", "refused", 1, 2), op("redeem", "ok", 3, 4)),
    ],
    "refused before the unanswered one began": [
        *(op("redeem", "refused", 0, 1), op("redeem", "unknown", 2, math.inf)),
    ],
    "refused before the unanswered revocation began": [
        *(op("use", "refused", 0, 1), op("revoke", "unknown", 2, math.inf)),
    ],
    "refused because of an unanswered use": [op("use", "unknown", 0, math.inf), op("use", "refused", 1, 2)],
    "use refused because of a redemption": [op("redeem", "ok", 0, 1), op("use", "refused", 2, 3)],
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_history_has_no_fault(name: str) -> None:
    assert faults(SOUND[name]) == []
    assert faults(list(reversed(SOUND[name]))) == []


@pytest.mark.parametrize("name", FAULTY)
def test_faulty_history_is_found(name: str) -> None:
    assert len(faults(FAULTY[name])) >= 1
    assert len(faults(list(reversed(FAULTY[name])))) >= 1


def test_broken_connection_is_neither_success_nor_refusal() -> None:
    history = History()
    broken = Shot(status=None, headers={}, text="", began=1.0, ended=3.0)
    history.add("redeem", "x", broken, ok=False)
    assert history.operations == [op("redeem", "unknown", 1.0, math.inf)]


def test_invocation_is_the_first_byte_and_the_answer_the_last() -> None:
    history = History()
    history.add("use", "x", Shot(status=200, headers={}, text="", began=1.0, ended=3.0), ok=True)
    assert history.operations == [op("use", "ok", 1.0, 3.0)]


def test_time_that_runs_backwards_is_a_fault_of_the_recorder() -> None:
    with pytest.raises(AssertionError, match="before"):
        faults([op("use", "ok", 2.0, 1.0)])
