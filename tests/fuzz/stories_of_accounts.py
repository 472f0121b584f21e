"""Stories about accounts: passwords, addresses, bans, keys, organizations and deletion."""

from __future__ import annotations

from datetime import timedelta

from tests.fuzz.model.machine import Machine
from tests.fuzz.people import ADA, CAROL, EVE, enters, holds_everything

GUEST = 2
"""Has whom the invitation was sent to answer it, by their newest session."""


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


def an_invitation_whose_sender_changes(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.invite(0, 1, EVE)
    machine.invite(0, 1, EVE)
    machine.answer_invitation(0, 1)
    machine.answer_invitation(0, GUEST, "reject")
    machine.answer_invitation(0, GUEST)
    machine.invite(0, 1, EVE, role="admin")
    machine.invite(0, 1, EVE, role="viewer", resend=True)
    machine.answer_invitation(1, GUEST)
    machine.answer_invitation(0, 1, "cancel")
    machine.answer_invitation(0, GUEST)
    machine.invite(0, 1, EVE, role="admin")
    machine.wait(7 * 86_400)
    enters(machine, EVE)
    machine.answer_invitation(0, GUEST)
    enters(machine, CAROL)
    machine.invite(0, 0, EVE, role="admin")
    machine.operate(CAROL, "ban")
    machine.answer_invitation(0, GUEST)
    machine.operate(CAROL, "unban")
    machine.answer_invitation(0, GUEST)
    assert len(machine.world.organizations[-1].roles) == 2
    machine.answer_invitation(0, GUEST)


def an_organization_that_is_handed_over(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "member")
    enters(machine, ADA)
    machine.hand_over(0, EVE, 1)
    machine.hand_over(0, EVE, 0)
    machine.operate(CAROL, "ban")
    machine.hand_over(0, ADA, 0)
    machine.wait(601)
    machine.hand_over(0, EVE, 0)
    machine.reauthenticate(0)
    machine.reauthenticate(0, kind="wrong")
    machine.reauthenticate(0, typed=False, kind="right")
    machine.reauthenticate(0, kind="right")
    machine.hand_over(0, EVE, 0)
    assert list(machine.world.organizations[-1].roles.values()).count("owner") == 2
    machine.hand_over(0, EVE, 0)


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


STORIES_OF_ACCOUNTS = (
    a_ban_that_is_lifted,
    a_password_that_is_set_by_a_link,
    an_address_that_is_proved_late,
    an_address_of_a_member_that_is_proved_late,
    a_password_that_is_changed,
    a_late_link,
    an_actor_type_that_is_removed,
    a_key_that_is_replaced,
    a_member_who_leaves,
    an_organization_that_is_dissolved,
    a_member_who_becomes_due,
    a_due_member_who_leaves_and_returns,
    an_invitation_whose_sender_changes,
    an_organization_that_is_handed_over,
    an_address_that_moves_and_comes_back,
    an_address_that_moves_too_late,
    an_account_that_is_deleted,
    an_account_that_an_operator_deletes,
)
SELDOM_OF_ACCOUNTS = frozenset(
    {
        a_ban_that_is_lifted,
        a_password_that_is_set_by_a_link,
        an_address_that_is_proved_late,
        an_address_of_a_member_that_is_proved_late,
        a_password_that_is_changed,
        an_actor_type_that_is_removed,
        a_member_who_becomes_due,
        a_due_member_who_leaves_and_returns,
        an_organization_that_is_handed_over,
        an_address_that_moves_and_comes_back,
        an_address_that_moves_too_late,
        an_account_that_is_deleted,
        an_account_that_an_operator_deletes,
    }
)
"""Part of `tests.fuzz.stories.SELDOM`: `tests/contract` holds each rule of these by itself."""
