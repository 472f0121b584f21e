"""Stories about what programs hold: service accounts, devices, tokens, webhooks, quotas and repeated requests."""

from __future__ import annotations

from datetime import timedelta

from tests.fuzz.model.machine import Machine
from tests.fuzz.people import CAROL, EVE, enters


def a_key_that_outlives_its_maker(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "admin")
    machine.make_account(0, 0, reserved=True)
    machine.make_account(0, 0)
    machine.make_account_key(0, 0)
    machine.make_account_key(0, 0, wide=False, lives=60)
    machine.look()
    machine.operate(EVE, "ban")
    machine.look()
    machine.operate(EVE, "unban")
    enters(machine, EVE)
    machine.change_role(0, 1, EVE, "viewer")
    machine.change_account_key(0, 0, "rotate")
    machine.make_account_key(0, 0)
    machine.look()
    enters(machine, CAROL)
    machine.change_account(0, 0, "narrow")
    machine.look()
    machine.make_account_key(0, 0)
    machine.change_account(0, 0, "off")
    machine.look()
    machine.wait(601)
    machine.change_account(0, 0, "on")
    machine.change_account(0, 0, "widen")
    machine.change_account(0, 0, "widen", typed=False)
    machine.change_account(0, 0, "widen", typed=True)
    enters(machine, CAROL)
    machine.change_account(0, 0, "widen")
    machine.look()
    machine.change_account(0, 0, "end")
    machine.look()
    machine.make_account_key(0, 0)


def a_key_of_a_service_account_that_is_replaced(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    machine.make_account(0, 0)
    machine.make_account_key(0, 0)
    for how in ("narrow", "off", "on", "overlap", "rotate"):
        machine.change_account_key(0, 0, how)
        machine.look()
    machine.wait(121)
    machine.look()
    machine.change_account_key(1, 0, "rotate")
    machine.change_account_key(0, 0, "end")
    machine.dissolve(0, 0)
    machine.look()


def a_members_key_that_becomes_a_programs(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    machine.make_account(0, 0)
    enters(machine, EVE)
    machine.join(0, 0, "admin")
    machine.create_key(0, place=0)
    machine.exchange(0)
    enters(machine, CAROL)
    machine.administer_key(0, 0, 0, "transfer", typed=False)
    machine.administer_key(0, 0, 0, "transfer")
    assert len(machine.world.programs.keys) == 1
    machine.administer_key(0, 0, 0, "transfer")
    machine.look()
    machine.remove(0, 0, EVE)
    machine.look()
    machine.demand(0, 0, timedelta(days=9))
    machine.make_account_key(0, 0)
    machine.administer_key(0, 0, 0, "end")
    machine.look()


def a_device_that_is_approved(machine: Machine) -> None:
    enters(machine, EVE)
    enters(machine, CAROL)
    machine.ask_as_a_device()
    machine.fetch_as_a_device(0)
    machine.fetch_as_a_device(0)
    machine.wait(11)
    machine.fetch_as_a_device(0)
    machine.decide_about_a_device(0, 0, typed=False)
    machine.decide_about_a_device(0, 0)
    machine.decide_about_a_device(0, 1)
    machine.decide_about_a_device(0, 0, approves=False)
    machine.fetch_as_a_device(0, as_another=True)
    machine.fetch_as_a_device(0)
    assert machine.world.programs.requests[0].status == "fetched"
    machine.exchange(0)
    machine.exchange(0, narrow=True, lives=30)
    machine.look()
    machine.fetch_as_a_device(0)
    machine.look()


def a_device_whose_approver_loses_everything(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "member")
    machine.ask_as_a_device(place=0)
    machine.decide_about_a_device(0, 0)
    enters(machine, CAROL)
    machine.change_role(0, 0, EVE, "admin")
    enters(machine, EVE)
    machine.decide_about_a_device(0, 0)
    machine.ask_as_a_device()
    machine.decide_about_a_device(0, 0)
    machine.operate(EVE, "ban")
    machine.fetch_as_a_device(0)
    machine.fetch_as_a_device(1)
    machine.look()
    machine.operate(EVE, "unban")
    enters(machine, EVE)
    machine.ask_as_a_device()
    machine.decide_about_a_device(0, 0)
    machine.wait(601)
    machine.fetch_as_a_device(0)
    machine.decide_about_a_device(0, 0)


def a_device_whose_key_is_replaced_before_it_is_fetched(machine: Machine) -> None:
    enters(machine, EVE)
    for how in ("rotate", "overlap", "off", "end"):
        machine.ask_as_a_device()
        machine.decide_about_a_device(0, 0)
        machine.change_key(0, 1, how)
        machine.fetch_as_a_device(0)
        machine.look()


def a_token_of_a_key_that_ends(machine: Machine) -> None:
    enters(machine, EVE)
    machine.create_key(0, lives=3600)
    machine.exchange(0)
    machine.look()
    machine.change_key(0, 1, "off")
    machine.look()
    machine.exchange(0)
    machine.change_key(0, 1, "on")
    machine.look()
    machine.rotate_signing_key()
    machine.look()
    machine.rotate_signing_key(at_once=True)
    machine.exchange(0)
    machine.look()
    machine.wait(601)
    machine.look()
    machine.wait(601)
    machine.look()
    machine.create_key(0, quota=3)
    machine.exchange(0)
    machine.look()
    machine.use_up(0)
    machine.exchange(0)
    machine.change_key(0, 1, "rotate")
    machine.use_up(0)
    machine.wait(86_400)
    machine.look()


def a_request_that_is_repeated(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "admin")
    machine.create_key_repeatedly(0, place=0)
    machine.create_key_repeatedly(0, place=0)
    machine.create_key_repeatedly(0)
    machine.create_key_repeatedly(1)
    machine.create_key_repeatedly(0, name="second", lives=60)
    enters(machine, CAROL)
    machine.change_role(0, 0, EVE, "member")
    machine.create_key_repeatedly(1, place=0)
    machine.wait(601)
    machine.create_key_repeatedly(1, name="second", lives=60)
    assert len(machine.world.keys) == 4
    machine.rotate_encryption_key()
    machine.create_key_repeatedly(1, name="second", lives=60)
    machine.look()


def a_key_that_encrypts_and_is_replaced(machine: Machine) -> None:
    enters(machine, EVE)
    machine.enable(0)
    machine.found(0)
    machine.manage_webhook(0, 0)
    machine.rotate_encryption_key()
    machine.look()
    machine.verify(0)
    machine.manage_webhook(0, 0, how="secret")
    machine.rotate_encryption_key()
    machine.look()
    enters(machine, EVE)
    enters(machine, CAROL)
    machine.finish(0, "spent")


def a_webhook_of_an_owner(machine: Machine) -> None:
    enters(machine, CAROL)
    machine.found(0)
    enters(machine, EVE)
    machine.join(0, 0, "admin")
    machine.manage_webhook(0, 0)
    machine.manage_webhook(0, 1, typed=False)
    machine.manage_webhook(0, 1)
    assert len(machine.world.programs.webhooks) == 1
    machine.wait(601)
    for how in ("off", "secret", "end"):
        machine.manage_webhook(0, 1, how=how)
    for how in ("off", "secret", "end", "end"):
        machine.manage_webhook(0, 1, how=how, typed=True)
    enters(machine, CAROL)
    for how in ("off", "secret", "end", "end"):
        machine.manage_webhook(0, 0, how=how)


STORIES_OF_PROGRAMS = (
    a_key_that_outlives_its_maker,
    a_key_of_a_service_account_that_is_replaced,
    a_members_key_that_becomes_a_programs,
    a_device_that_is_approved,
    a_device_whose_approver_loses_everything,
    a_device_whose_key_is_replaced_before_it_is_fetched,
    a_token_of_a_key_that_ends,
    a_request_that_is_repeated,
    a_key_that_encrypts_and_is_replaced,
    a_webhook_of_an_owner,
)
SELDOM_OF_PROGRAMS = frozenset(
    {
        a_device_that_is_approved,
        a_key_that_encrypts_and_is_replaced,
        a_request_that_is_repeated,
        a_webhook_of_an_owner,
    }
)
"""Part of `tests.fuzz.stories.SELDOM`: `tests/contract` holds each rule of these by itself."""
