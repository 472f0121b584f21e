"""One's own account: change of address, export, deletion. Calls of better-auth's client ignore unknown fields."""

from __future__ import annotations

from pydantic import Field

from czo_auth.asgi.callback_urls import check_callback_url
from czo_auth.core.access import ACCOUNT, PUBLIC
from czo_auth.core.flows.users.activity import read_activity
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.paging import PageQuery
from czo_auth.rest import records
from czo_auth.rest.answers import Answer, attachment, signed_out
from czo_auth.rest.models import Body, Code, Email, Password, Token, TolerantBody, Url
from czo_auth.rest.queries import Cursor, Limit
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.rest.serialization import listed

routes = Routes("Own account")


class ChangeEmailRequest(TolerantBody):
    new_email: Email
    callback_url: Url | None = Field(default=None, alias="callbackURL")
    password: Password | None = None
    code: Code | None = None


class DeleteUserRequest(TolerantBody):
    password: Password | None = None
    code: Code | None = None
    callback_url: Url | None = Field(default=None, alias="callbackURL")


class MailedTokenRequest(Body):
    token: Token


@routes.add("POST", "/change-email", access=ACCOUNT)
async def change_email(body: ChangeEmailRequest, call: CurrentRequest) -> records.Done:
    """
    Mail a link to the new address and a notice to the old one. Nothing changes until the link is used. The answer is
    the same if the address is taken. Needs recent proof.
    """
    await call.runtime.change_email.request(
        new_email=body.new_email,
        callback_url=check_callback_url(call, body.callback_url),
        password=body.password,
        code=body.code,
        context=call.context,
    )
    return records.DONE


@routes.add("POST", "/revert-email-change", access=PUBLIC)
async def revert_email_change(body: MailedTokenRequest, call: CurrentRequest) -> records.Done:
    """Undo a change of address with the token mailed to the old address. All sessions end."""
    await call.runtime.change_email.take_back(body.token, context=call.context)
    return records.DONE


@routes.add("POST", "/reject-verification", access=PUBLIC)
async def reject_verification(body: MailedTokenRequest, call: CurrentRequest) -> records.Done:
    """
    "This was not me", with the token of a confirmation mail: delete the account that was never confirmed, or cancel a
    change of address.
    """
    await call.runtime.verify_email.reject(body.token, context=call.context)
    return records.DONE


@routes.add("POST", "/secure-account", access=PUBLIC)
async def secure_account(body: MailedTokenRequest, call: CurrentRequest) -> records.Done:
    """
    "This was not me", with the token of a mail about the account: end all sessions and trusted devices, remove the
    password, and mail a link to set a new one.
    """
    await call.runtime.secure_account.secure(body.token, context=call.context)
    return records.DONE


@routes.add("POST", "/delete-user", access=ACCOUNT, ignores_unknown_fields=True)
async def delete_user(body: DeleteUserRequest, call: CurrentRequest) -> Answer[records.DeletedUser]:
    """Delete the caller's account with all data stored about it. Needs recent proof."""
    check_callback_url(call, body.callback_url)
    await call.runtime.delete_user.delete_own(password=body.password, code=body.code, context=call.context)
    return signed_out(call, records.DeletedUser(success=True, message="User deleted"))


@routes.add("GET", "/activity", access=ACCOUNT)
async def activity(
    call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.ActivityPage:
    """List what happened to the caller's account, newest first, without who else acted or from where."""
    page = PageQuery(limit=limit, cursor=cursor)
    found = await read_activity(call.runtime.services, call.caller.require_user(), page=page)
    return await listed(records.ActivityPage.of, found)


@routes.add("GET", "/user/export", access=ACCOUNT, get_has_effects=True)
async def export_user(call: CurrentRequest) -> Answer[records.AccountExport]:
    """Export all data stored about the caller as a file. Needs recent proof."""
    document = await call.runtime.export_user.export_own(context=call.context)
    return await attachment(document, f"account-{call.caller.user_id}.json")
