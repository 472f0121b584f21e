"""
Stories that the machine acts out each time: one for each way in which something that is over could go on counting.

A random walk meets them all in minutes, a short one by luck. Each act is held against the model, as are all credentials
after the story, and everything that was ever handed out is tried once more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.fuzz.model.machine import Machine
from tests.fuzz.people import ADA, CAROL, EVE, enters
from tests.fuzz.stories_of_programs import SELDOM_OF_PROGRAMS, STORIES_OF_PROGRAMS


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


def a_ban_that_is_lifted(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    machine.enable(0, replace=True)
    enters(machine, ADA)
    machine.administration(CAROL, 0, "ban")
    machine.look()
    machine.follow_a_link(0)
    machine.administration(CAROL, 0, "unban")
    machine.look()
    enters(machine, CAROL)
    machine.verify(0, "old phone")


def a_password_that_is_set_by_a_link(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    machine.follow_a_link(0)
    machine.follow_a_link(0)
    machine.follow_a_link(1)
    machine.look()


def an_address_that_is_proved_late(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    machine.follow_a_link(1)
    machine.look()
    enters(machine, CAROL)
    machine.create_key(0)
    machine.enable(0)
    machine.verify(0)
    machine.ask_for_a_link(CAROL)
    machine.follow_a_link(0)
    machine.look()


def an_address_of_a_member_that_is_proved_late(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "member")
    machine.create_key(0)
    machine.enable(0)
    machine.verify(0)
    enters(machine, EVE, trusts=True)
    machine.ask_for_a_link(EVE)
    machine.follow_a_link(0)
    machine.look()
    enters(machine, EVE)


def a_password_that_is_changed(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    machine.enable(0, replace=True)
    machine.change_password(0)
    machine.look()
    machine.verify(0, "old phone")


def a_late_link(machine: Machine) -> None:
    machine.ask_for_a_link(EVE)
    machine.ask_for_a_link(EVE)
    machine.follow_a_link(1)
    machine.wait(3601)
    machine.follow_a_link(0)


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


def an_actor_type_that_is_removed(machine: Machine) -> None:
    enters(machine, EVE)
    machine.change_actor_types(0, "admin")
    machine.operate(EVE, "promote")
    enters(machine, EVE)
    machine.look()
    machine.change_actor_types(0, "admin")
    machine.enable(0)
    machine.verify(0)
    machine.change_actor_types(0, "admin")
    machine.create_key(0, reserved=True)
    machine.turn_off(0)
    machine.sign_in(EVE)
    machine.administration(EVE, 0, "demote")
    machine.look()
    machine.finish(0)
    machine.administration(ADA, 0, "demote")
    machine.operate(EVE, "promote")
    machine.look()


def a_member_who_leaves(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "admin")
    machine.create_key(0, place=0)
    machine.change_role(0, 0, EVE, "owner")
    machine.change_role(0, 1, EVE, "owner")
    machine.change_role(0, 0, CAROL, "viewer")
    machine.change_role(0, 0, EVE, "viewer")
    machine.remove(0, 1, EVE)
    machine.change_role(0, 0, CAROL, "owner")
    machine.look()
    machine.remove(0, 0, EVE)
    machine.look()
    machine.join(0, 0, "admin")
    machine.look()


def an_organization_that_is_dissolved(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "admin")
    machine.create_key(0, place=0)
    machine.dissolve(0, 0)
    machine.dissolve(0, 1)
    machine.look()


def a_key_that_is_replaced(machine: Machine) -> None:
    enters(machine, EVE)
    machine.create_key(0, lives=3600)
    for how in ("widen", "narrow", "off", "on", "overlap", "rotate", "on"):
        machine.change_key(0, 1, how)
    machine.change_key(1, 1, "rotate")
    machine.look()
    machine.wait(121)
    machine.look()
    machine.change_key(0, 1, "end")


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


def a_member_who_becomes_due(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "admin")
    machine.create_key(0, place=0)
    enters(machine, CAROL)
    machine.demand(0, 0, timedelta(seconds=600))
    assert machine.world.organizations[-1].required_from is not None
    machine.look()
    machine.wait(601)
    machine.look()
    enters(machine, EVE)
    machine.create_key(0, place=0)
    machine.change_role(0, 0, CAROL, "viewer")
    machine.change_key(0, 1, "rotate")
    enters(machine, CAROL)
    machine.exempt(0, 0, EVE, 15)
    assert machine.world.organizations[-1].exemptions
    machine.look()
    machine.wait(901)
    enters(machine, EVE)
    machine.look()
    machine.enable(0)
    machine.verify(0)
    machine.look()
    machine.create_key(0, place=0)
    machine.turn_off(0, "right")
    enters(machine, CAROL)
    machine.demand(0, 0, None)
    enters(machine, EVE)
    machine.turn_off(0)
    machine.look()


def a_due_member_who_leaves_and_returns(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "admin")
    enters(machine, CAROL)
    machine.demand(0, 0, timedelta(days=-1))
    enters(machine, EVE)
    machine.change_role(0, 0, CAROL, "viewer")
    machine.remove(0, 0, EVE)
    enters(machine, CAROL)
    enters(machine, EVE)
    machine.join(0, 0, "admin")
    machine.create_key(0, place=0)
    machine.look()


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


def an_address_that_moves_and_comes_back(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    enters(machine, CAROL, trusts=True)
    machine.ask_for_another_address(0)
    machine.confirm_address(0)
    machine.confirm_address(0)
    assert machine.world.changes[-1].confirmed_at is not None
    machine.look()
    machine.follow_a_link(0)
    machine.sign_in(CAROL, browser=0)
    machine.take_address_back(0)
    machine.take_address_back(0)
    machine.confirm_address(0)
    machine.look()
    enters(machine, CAROL)
    machine.ask_for_another_address(0)
    machine.ask_for_another_address(0)
    machine.confirm_address(1)
    machine.confirm_address(0)
    machine.take_address_back(1)
    machine.look()


def an_address_that_moves_too_late(machine: Machine) -> None:
    enters(machine, EVE)
    machine.ask_for_another_address(0)
    machine.operate(EVE, "ban")
    machine.operate(EVE, "unban")
    machine.confirm_address(0)
    enters(machine, EVE)
    machine.ask_for_another_address(0)
    machine.wait(86_401)
    machine.confirm_address(0)
    machine.wait(6 * 86_400)
    machine.take_address_back(0)


def an_account_that_is_deleted(machine: Machine) -> None:
    holds_everything(machine, CAROL)
    enters(machine, EVE)
    machine.join(0, 0, "member")
    enters(machine, CAROL)
    machine.ask_for_another_address(0)
    machine.export(0)
    machine.delete(0)
    machine.change_role(0, 0, EVE, "owner")
    machine.wait(601)
    machine.delete(0)
    machine.delete(0, has_password=False)
    enters(machine, CAROL)
    machine.delete(0, has_password=True)
    assert len(machine.world.gone) == 1
    machine.look()
    machine.confirm_address(0)


def an_account_that_an_operator_deletes(machine: Machine) -> None:
    holds_everything(machine, EVE)
    machine.enable(0)
    machine.delete(0, from_above=True)
    assert len(machine.world.gone) == 1
    machine.look()
    enters(machine, ADA)
    machine.export(0)
    machine.delete(0)


Story = Callable[[Machine], None]
STORIES: tuple[Story, ...] = (
    a_copied_refresh_token,
    a_guess_more_than_a_challenge_allows,
    guesses_in_a_session,
    more_guesses_than_an_account_allows,
    a_challenge_twice,
    a_late_challenge,
    a_code_twice,
    a_ban_that_is_lifted,
    a_password_that_is_set_by_a_link,
    an_address_that_is_proved_late,
    an_address_of_a_member_that_is_proved_late,
    a_password_that_is_changed,
    a_late_link,
    a_new_phone,
    a_late_enrollment,
    a_factor_that_is_turned_off,
    a_factor_that_is_reset,
    a_browser_that_is_trusted,
    an_actor_type_that_is_removed,
    a_member_who_leaves,
    an_organization_that_is_dissolved,
    a_key_that_is_replaced,
    sessions_that_are_ended,
    a_member_who_becomes_due,
    a_due_member_who_leaves_and_returns,
    a_passkey_that_comes_and_goes,
    an_address_that_moves_and_comes_back,
    an_address_that_moves_too_late,
    an_account_that_is_deleted,
    an_account_that_an_operator_deletes,
    *STORIES_OF_PROGRAMS,
)
SELDOM: frozenset[Story] = frozenset(
    {
        a_due_member_who_leaves_and_returns,
        an_address_that_moves_too_late,
        an_account_that_an_operator_deletes,
        a_passkey_that_comes_and_goes,
        # The tests of `tests/contract` hold each rule of these by itself.
        an_address_of_a_member_that_is_proved_late,
        an_address_that_moves_and_comes_back,
        a_member_who_becomes_due,
        more_guesses_than_an_account_allows,
        sessions_that_are_ended,
        a_new_phone,
        a_factor_that_is_turned_off,
        a_password_that_is_changed,
        a_browser_that_is_trusted,
        a_ban_that_is_lifted,
        an_address_that_is_proved_late,
        a_password_that_is_set_by_a_link,
        a_factor_that_is_reset,
        an_account_that_is_deleted,
        an_actor_type_that_is_removed,
        *SELDOM_OF_PROGRAMS,
    }
)
"""Acted out by `make test-deep` alone."""
