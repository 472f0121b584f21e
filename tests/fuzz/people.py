"""Who acts in the stories, how they sign in, and what they may have."""

from __future__ import annotations

from tests.fuzz.model.machine import Machine

ADA, CAROL, EVE = 0, 1, 2
"""An administrator and a customer with a second factor, and a customer without: counted from the newest."""


def enters(machine: Machine, who: int, *, trusts: bool = False) -> None:
    """Sign in with everything that is asked for, once the phone shows a fresh code."""
    challenges, sessions = len(machine.world.challenges), len(machine.world.sessions)
    machine.wait(61)
    machine.sign_in(who)
    if len(machine.world.challenges) > challenges:
        machine.finish(0, trusts=trusts)
    assert len(machine.world.sessions) == sessions + 1


def holds_everything(machine: Machine, who: int) -> None:
    """Have whatever one can have: sessions, a refreshed family, a trusted browser, keys, a challenge and both links."""
    enters(machine, who)
    machine.refresh(0)
    machine.create_key(0)
    enters(machine, who, trusts=True)
    machine.found(0)
    machine.create_key(0, place=0)
    machine.sign_in(who)
    machine.ask_for_a_link(who)
    machine.ask_for_a_link(who, from_operator=True)
    machine.look()
