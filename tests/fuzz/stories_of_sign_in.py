"""Stories about what one signs in with: codes, challenges, factors, trusted browsers, passkeys and sessions."""

from __future__ import annotations

from tests.fuzz.model.machine import Machine
from tests.fuzz.people import ADA, CAROL, EVE, enters, holds_everything


def a_copied_refresh_token(machine: Machine) -> None:
    enters(machine, EVE)
    machine.refresh(0)
    machine.refresh(0, back=1)
    machine.wait(11)
    machine.refresh(0, back=1)
    machine.look()


def a_guess_more_than_a_challenge_allows(machine: Machine) -> None:
    machine.wear_out_a_challenge(CAROL)


def guesses_ten_times(machine: Machine, who: int) -> None:
    """At sign-in, where each challenge takes five."""
    for _ in range(2):
        machine.sign_in(who)
        for _ in range(5):
            machine.finish(0, "wrong")


def guesses_in_a_session(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.wait(31)
    machine.guess_ten_times(0)
    machine.look()
    machine.wait(3600)
    enters(machine, CAROL)


def more_guesses_than_an_account_allows(machine: Machine) -> None:
    for pause in (901, 1801, 3601, 3601):
        guesses_ten_times(machine, CAROL)
        machine.sign_in(CAROL)
        machine.finish(0, "right")
        machine.wait(pause)
    guesses_ten_times(machine, CAROL)
    machine.wait(8 * 3600)
    machine.sign_in(CAROL)
    machine.finish(0, "right")
    machine.ask_for_a_link(CAROL)
    machine.follow_a_link(0)
    enters(machine, CAROL)


def a_challenge_twice(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.wait(31)
    machine.finish(0)


def a_late_challenge(machine: Machine) -> None:
    machine.sign_in(CAROL)
    machine.wait(301)
    machine.finish(0)


def a_code_twice(machine: Machine) -> None:
    for kind in ("right", "spent", "backup", "spent backup"):
        machine.sign_in(CAROL)
        machine.finish(0, kind)
        machine.wait(1)


def a_new_phone(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    machine.wait(601)
    machine.enable(0, replace=True)
    machine.enable(0, "wrong", replace=True, kind="right")
    machine.enable(0, replace=True, kind="right")
    machine.verify(0, of_present=True)
    machine.verify(0, "wrong")
    machine.verify(0)
    machine.look()
    machine.sign_in(CAROL)
    for kind in ("old phone", "spent backup", "backup"):
        machine.finish(0, kind)


def a_late_enrollment(machine: Machine) -> None:
    enters(machine, EVE)
    machine.enable(0)
    machine.wait(601)
    machine.verify(0, "old phone")
    machine.enable(0, password=None)
    machine.enable(0)
    machine.enable(0)
    machine.verify(0, "old phone")
    machine.verify(0)
    machine.look()


def a_factor_that_is_turned_off(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    machine.wait(601)
    machine.turn_off(0)
    machine.turn_off(0, "right")
    machine.look()
    machine.enable(0)
    machine.verify(0)
    machine.look()


def a_factor_that_is_reset(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    machine.administration(CAROL, 0, "reset")
    enters(machine, ADA)
    machine.administration(ADA, 0, "reset")
    machine.administration(CAROL, 0, "reset")
    machine.look()
    enters(machine, CAROL)
    machine.enable(0)
    machine.verify(0)
    machine.look()


def a_browser_that_is_trusted(machine: Machine) -> None:
    enters(machine, CAROL, trusts=True)
    machine.operate(ADA, "demote")
    machine.sign_in(ADA, browser=0)
    machine.sign_in(CAROL, browser=0)
    machine.sign_in(CAROL, browser=0, is_old=True)
    machine.turn_off(0)
    machine.operate(CAROL, "promote")
    machine.change_actor_types(0, "admin")
    machine.sign_in(CAROL, browser=0)
    machine.operate(CAROL, "demote")
    machine.forget_browsers(0, 0)
    machine.sign_in(CAROL, browser=0)
    enters(machine, CAROL, trusts=True)
    machine.wait(31 * 86400)


def a_passkey_that_comes_and_goes(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    enters(machine, CAROL, trusts=True)
    machine.sign_in(CAROL)
    machine.visit_with_a_passkey(0)
    machine.finish(0)
    machine.look()
    enters(machine, EVE)
    machine.enable(0)
    machine.visit_with_a_passkey(0)
    assert machine.world.events[machine.world.sessions[-1].person.id, "auth.passkey.removed"] == 1
    machine.look()


def sessions_that_are_ended(machine: Machine) -> None:
    for _ in range(4):
        enters(machine, CAROL)
        machine.refresh(0)
    machine.sign_in(CAROL)
    machine.end_some(0, "sign out")
    machine.look()
    machine.end_some(0, "one")
    machine.end_some(0, "others")
    machine.look()
    enters(machine, CAROL)
    enters(machine, EVE)
    machine.end_some(0, "one")


def a_proof_that_is_given_again(machine: Machine) -> None:
    enters(machine, CAROL, trusts=True)
    machine.wait(601)
    machine.sign_in(CAROL, browser=0)
    assert machine.world.sessions[-1].aal == 1
    machine.regenerate(0)
    for kind in ("right", "spent", "backup", "spent backup"):
        machine.wait(31)
        machine.reauthenticate(0, typed=None, kind=kind)
    machine.regenerate(0)
    machine.change_password(0)
    machine.look()
    for _ in range(5):
        machine.reauthenticate(0, typed=None, kind="wrong")
    machine.look()
    machine.reauthenticate(0)


STORIES_OF_SIGN_IN = (
    a_copied_refresh_token,
    a_guess_more_than_a_challenge_allows,
    guesses_in_a_session,
    more_guesses_than_an_account_allows,
    a_challenge_twice,
    a_late_challenge,
    a_code_twice,
    a_new_phone,
    a_late_enrollment,
    a_factor_that_is_turned_off,
    a_factor_that_is_reset,
    a_browser_that_is_trusted,
    a_passkey_that_comes_and_goes,
    sessions_that_are_ended,
    a_proof_that_is_given_again,
)
SELDOM_OF_SIGN_IN = frozenset(
    {
        more_guesses_than_an_account_allows,
        a_new_phone,
        a_factor_that_is_turned_off,
        a_factor_that_is_reset,
        a_browser_that_is_trusted,
        a_passkey_that_comes_and_goes,
        sessions_that_are_ended,
        a_proof_that_is_given_again,
    }
)
"""Part of `tests.fuzz.stories.SELDOM`: `tests/contract` holds each rule of these by itself."""
