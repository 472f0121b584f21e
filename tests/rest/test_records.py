"""Records: what answers hold, and what is never shown of them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from starlette.responses import JSONResponse

from czo_auth.rest import records
from czo_auth.rest.openapi.schemas import schemas_of

SECRET = "whsec_abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq="


def test_records_do_not_show_their_secrets() -> None:
    made = records.WebhookSecret(secret=SECRET)
    assert SECRET not in repr(made)
    assert SECRET not in str(made)
    assert made.dump() == {"secret": SECRET}


def test_a_record_that_cannot_be_made_does_not_show_what_it_was_given() -> None:
    with pytest.raises(ValidationError) as refused:
        records.WebhookSecret.model_validate({"secret": [SECRET]})
    assert SECRET not in str(refused.value)


def test_a_passkey_that_turns_two_factors_on_shows_the_whole_sign_in() -> None:
    missing = records.SignedIn.model_fields.keys() - records.RegisteredPasskey.model_fields.keys()
    assert not missing
    (_, named) = schemas_of({"sign-in": records.SignedIn, "registration": records.RegisteredPasskey})
    signed_in, registered = (
        named[model.__name__]["properties"] for model in (records.SignedIn, records.RegisteredPasskey)
    )
    assert signed_in.items() <= registered.items()


def test_what_may_be_null_and_what_may_be_missing_are_told_apart() -> None:
    opened = records.DeviceApprovalRequest(user_code="ABCD-EFGH", status="pending", client_id="cli")
    assert opened.dump() == {"user_code": "ABCD-EFGH", "status": "pending", "client_id": "cli"}
    own = records.DeviceApprovalRequest(
        user_code="ABCD-EFGH",
        status="pending",
        client_id="cli",
        name="laptop",
        scope="",
        organization_id=None,
    )
    assert own.dump()["organizationId"] is None
    assert own.dump()["scope"] == ""


def test_the_text_of_a_record_is_the_one_that_routes_send() -> None:
    made = records.BackupCodes(status=True, backup_codes=["größe/\u2028"])
    assert made.dump_json() == JSONResponse(made.dump()).body


def test_lists_and_nulls_are_answers_too() -> None:
    assert records.dump(None) is None
    assert records.dump([records.DONE]) == [{"status": True}]
