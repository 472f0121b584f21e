"""
Pages that cannot be declared without an access rule.

`admit_request` decides who may see a page, and the flows decide what they may do. A refusal leads to the page that
resolves it, or back to the form with an error message.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from czo_auth.asgi.admission import AppState, RequestContext, admit_request
from czo_auth.asgi.problems import refusal_of, status_of
from czo_auth.asgi.session_cookies import clear_session_cookies
from czo_auth.core.access import Access
from czo_auth.core.errors import (
    InvalidToken,
    NotFound,
    PhishingResistantFactorRequired,
    ReauthenticationRequired,
    Refusal,
    SecondFactorNeeded,
    TwoFactorSetupRequired,
    Unauthorized,
    ValidationFailed,
)
from czo_auth.core.ids import is_id
from czo_auth.core.limits import DEFAULT_PAGE, MAX_CURSOR
from czo_auth.core.paging import PageQuery
from czo_auth.core.principal import Principal
from czo_auth.core.users.user import User
from czo_auth.translations import Translations
from czo_auth.web.addresses import is_own_page
from czo_auth.web.error_messages import error_message
from czo_auth.web.forms import Form, read_form, read_query
from czo_auth.web.renderer import PageRenderer
from czo_auth.web.saved_forms import page_of, save_form, saved_form

SIGNED_OUT = Access(credential="optional_session")
"""Pages for visitors who are not signed in; users who may only enroll are sent to the enrollment page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """
    One request for a page.

    Attributes:
        call_or_none: None if the visitor was not admitted and sees the reason.
        query, form: The parameters of the URL, and the submitted fields.
        refusal: The reason why the form is shown again.
        is_query_refused: Whether it is about the query instead.
        account: The signed-in user, for the menu; None for visitors.
        way_back: The path below the mount at which this page can be opened again.
    """

    renderer: PageRenderer
    request: Request
    translations: Translations
    call_or_none: RequestContext | None
    query: Form
    form: Form
    refusal: Refusal | None = None
    is_query_refused: bool = False
    account: User | None = None
    way_back: str = "/"

    @property
    def call(self) -> RequestContext:
        """The call of an admitted visitor."""
        if self.call_or_none is None:
            raise Unauthorized
        return self.call_or_none

    @property
    def caller(self) -> Principal | None:
        """The id of the signed-in user, or None."""
        return None if self.call_or_none is None else self.call_or_none.context.principal

    async def admit_again(self, access: Access) -> None:
        """
        Check that the visitor is still admitted, in the middle of a long answer.

        Raises:
            Refusal: They are not.
        """
        await admit_request(self.request.app.state.app_state, self.request, access, opens_session=False)

    def id(self, name: str) -> str:
        """
        Return an id from the path.

        Raises:
            NotFound: It does not have the form of an id.
        """
        text = str(self.request.path_params[name])
        if not is_id(text):
            raise NotFound
        return text

    def page_query(self, limit: int = DEFAULT_PAGE) -> PageQuery:
        """Read the position in a list from the query."""
        back = self.query.optional("before", max_length=MAX_CURSOR)
        cursor = back or self.query.optional("cursor", max_length=MAX_CURSOR)
        return PageQuery(limit=limit, cursor=cursor, backward=back is not None, counts_all=False)

    def filters(self, *names: str) -> str:
        """Return the filters of a list, encoded for a URL; empty if there are none."""
        return urlencode({name: self.query.raw(name) for name in names if self.query.raw(name)})

    def sequence(self, name: str) -> int | None:
        """
        Read a position in a log from the query; None if there is none.

        Raises:
            ValidationFailed: It is not a number.
        """
        text = self.query.optional(name, max_length=18)
        if text is not None and not re.fullmatch(r"[0-9]{1,18}", text):
            raise ValidationFailed(details=((name, "This is not the cursor of a page before."),))
        return None if text is None else int(text)

    async def show_list(
        self,
        template: str,
        read: Callable[[], Awaitable[Mapping[str, object]]],
        *,
        filters: Collection[str],
        **values: object,
    ) -> Response:
        """
        Respond with a page with a list, and the form that filters it.

        A refused filter is explained at its field, with the other fields as they were sent and without a list: one that
        is not filtered would be mistaken for the result.

        Args:
            template: Shows the list if ``is_listed``.
            read: Returns the values that the list needs.
            filters: The parameters of the form.
            values: All other values.
        """
        try:
            listed = await read()
        except ValidationFailed as refusal:
            if error_message(refusal, self.translations, self.query).field not in filters:
                raise
            page = replace(self, refusal=refusal, is_query_refused=True)
            shown_page = page.show(template, http_status=status_of(refusal), is_listed=False, **values)
            return _with_status(shown_page, refusal)
        return self.show(template, http_status=200, is_listed=True, **values, **listed)

    def show(self, template: str, *, http_status: int = 200, **values: object) -> Response:
        """Respond with a page."""
        sent = self.query if self.is_query_refused else self.form
        error = None if self.refusal is None else error_message(self.refusal, self.translations, sent)
        carried = self.request.cookies.get(self.renderer.notice_cookie)
        is_kept = self.request.method == "GET" and bool(self.form.fields)
        response = self.renderer.render(
            template,
            status=http_status,
            translations=self.translations,
            has_query=bool(self.request.scope.get("query_string")),
            values={
                **values,
                "error": error,
                "noticed": self._noticed(carried, is_kept=is_kept) if error is None else None,
                "form": self.form,
                "query": self.query,
                "me": self.caller,
                "visitor": self.account,
                "path": self.request.scope["path"],
                "way_back": self.way_back,
                "new_nonce": self.renderer.new_nonce,
                "now": None if self.call_or_none is None else self.call_or_none.now,
            },
        )
        if carried is not None:
            response.headers.append("set-cookie", self.renderer.clear_notice())
        if is_kept:
            response.headers.append("set-cookie", self.renderer.clear_form())
        return response

    def _noticed(self, carried: str | None, *, is_kept: bool) -> str | None:
        """Return the one-time notice of the page: that of a redirect to it, or that form input was restored."""
        said = None if carried is None else self.renderer.open_notice(carried, self.path)
        return said or ("form_kept" if is_kept else None)

    @property
    def path(self) -> str:
        """The path of this page below the mount."""
        return str(self.request.scope["path"])

    def redirect(self, path: str, *, done: str | None = None, **query: str) -> Response:
        """Redirect to another page; *done* is the notice that it shows once, a key of ``done.*``."""
        address = self.renderer.base + path
        if query:
            address += ("&" if "?" in path else "?") + urlencode(query)
        if self.request.headers.get("hx-request") == "true":
            # A script requested a part of a page; a redirect would put a whole page into that part.
            leading = Response(status_code=204, headers={"hx-redirect": address})
        else:
            leading = RedirectResponse(address, status_code=303)
        if done is not None:
            leading.headers.append("set-cookie", self.renderer.carry_notice(done, path.partition("?")[0]))
        return self.renderer.guarded(leading, has_query=True)

    def redirect_to_requested(self, *, done: str | None = None) -> Response:
        """Redirect to the page that the visitor wanted to open."""
        wanted = self.form.raw("next") or self.query.raw("next")
        return self.redirect(wanted if is_own_page(wanted) else "/", done=done)


View = Callable[[PageRequest], Awaitable[Response]]
_PAGES_OF: dict[View, list[str]] = {}
"""Where each view is shown."""


class Pages:
    """A group of pages. Each declares its access; there is no default."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def get(self, path: str, *, access: Access) -> Callable[[View], View]:
        """Register the decorated page."""

        def register(show: View) -> View:
            _PAGES_OF.setdefault(show, []).append(path)
            self._add("GET", path, show, access=access, again=None, opens_session=False)
            return show

        return register

    def post(
        self, path: str, *, access: Access, again: View, opens_session: bool = False
    ) -> Callable[[View], View]:
        """
        Register the decorated function as the handler of a form.

        Args:
            again: Shows the form again after a refusal.
            opens_session: Whether it signs users in or up.
        """

        def register(act: View) -> View:
            self._add("POST", path, act, access=access, again=again, opens_session=opens_session)
            return act

        return register

    def _add(
        self, method: str, path: str, show: View, *, access: Access, again: View | None, opens_session: bool
    ) -> None:
        shown_page = _Page(show=show, access=access, again=again, opens_session=opens_session)
        self.routes.append(Route(path, shown_page.answer, methods=[method], name=f"{method} {path}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    show: View
    access: Access
    again: View | None
    opens_session: bool

    async def answer(self, request: Request) -> Response:
        renderer: PageRenderer = request.app.state.renderer
        page = PageRequest(
            renderer=renderer,
            request=request,
            translations=renderer.language_of(request),
            call_or_none=None,
            query=Form(),
            form=Form(),
        )
        page = replace(page, way_back=self._return_page(page))
        try:
            page = await self._enter(request.app.state.app_state, page)
            return await self._shown(page)
        except Exception as error:
            return await self._refused(page, refusal_of(error))

    async def _enter(self, app_state: AppState, page: PageRequest) -> PageRequest:
        """Admit the visitor. Forms must come from our own pages, even without a cookie."""
        request = page.request
        is_form = self.again is not None
        if is_form:
            app_state.authenticator.origins.check_cookie_request(request.scope)
        call = await admit_request(app_state, request, self.access, opens_session=self.opens_session)
        form = await read_form(request) if is_form else saved_form(page.renderer, request, page.path)
        return replace(page, call_or_none=call, query=read_query(request), form=form)

    async def _shown(self, page: PageRequest) -> Response:
        page = replace(page, account=await find_account(page))
        try:
            return await self.show(page)
        except (Unauthorized, InvalidToken, TwoFactorSetupRequired, PhishingResistantFactorRequired):
            raise
        except Refusal as refusal:
            if self.again is None or _leads_to_proof(page, refusal):
                raise
            return _with_status(await self.again(replace(page, refusal=refusal)), refusal)

    async def _refused(self, page: PageRequest, refusal: Refusal) -> Response:
        """Redirect to the page that resolves *refusal*, or show the reason."""
        match refusal:
            case TwoFactorSetupRequired():
                return page.redirect("/enrol")
            case SecondFactorNeeded() | PhishingResistantFactorRequired():
                return await self._led_to(page, "/prove")
            case ReauthenticationRequired() if self.again is not None and _leads_to_proof(page, refusal):
                return await self._led_to(page, "/reauthenticate")
            case Unauthorized() | InvalidToken() if page.caller is None:
                return await self._led_to(page, "/sign-in")
            case _:
                call = page.call_or_none or await recognize(page.request)
                refused = replace(page, call_or_none=call, refusal=refusal)
                refused = replace(refused, account=await find_account(refused))
                return _with_status(
                    refused.show("refused.html", switch_to=_administrator_type(refused)), refusal
                )

    async def _led_to(self, page: PageRequest, path: str) -> Response:
        """Redirect to the page that resolves the refusal, and back afterwards, with the form input except secrets."""
        response = page.redirect(path, next=page.way_back)
        if self.again is not None and (form_page := self._form_page(page)) is not None:
            await save_form(page.renderer, page.request, response, form_page, form=page.form)
        return response

    def _form_page(self, page: PageRequest) -> str | None:
        return page_of(_PAGES_OF.get(self.again, ()), page.request) if self.again is not None else None

    def _return_page(self, page: PageRequest) -> str:
        scope = page.request.scope
        if self.again is not None:
            return self._form_page(page) or "/"
        query: bytes = scope.get("query_string", b"")
        address = str(scope["path"]) + (f"?{query.decode('latin-1')}" if query else "")
        return address if is_own_page(address) else "/"


async def recognize(request: Request) -> RequestContext | None:
    """Return the user to whom a page was refused, so that the error page keeps the navigation; None for visitors."""
    if request.method not in ("GET", "HEAD"):
        return None
    try:
        return await admit_request(request.app.state.app_state, request, SIGNED_OUT, opens_session=False)
    except Exception:
        # The page already shows an error; it goes without the navigation.
        return None


async def find_account(page: PageRequest) -> User | None:
    """Return the signed-in user, for the menu; None for visitors, and if it cannot be read now."""
    caller = page.caller
    if caller is None or page.call_or_none is None:
        return None
    try:
        return (await page.call.runtime.manage_sessions.current(caller))[1]
    except Refusal:
        return None


def _leads_to_proof(page: PageRequest, refusal: Refusal) -> bool:
    """Whether a page of its own asks for the proof, because the submitted form has no field for it."""
    if not isinstance(refusal, ReauthenticationRequired) or "password" in page.form:
        return False
    # Users who may only enroll are not admitted to that page.
    return page.caller is not None and not page.caller.restricted_to


def _administrator_type(page: PageRequest) -> str | None:
    """Return the actor type to which the caller can switch for the administration."""
    caller = page.caller
    if caller is None or caller.administers or not page.path.startswith("/admin"):
        return None
    actors = page.call.runtime.services.actors
    return next(
        (actor.name for actor in actors if actor.administers and actor.name in caller.actor_types), None
    )


def _with_status(response: Response, refusal: Refusal) -> Response:
    response.status_code = status_of(refusal)
    # A script that requested a list shows the whole page instead: the reason is outside the list.
    for name, value in (("hx-retarget", "#main"), ("hx-reselect", "#main"), ("hx-push-url", "false")):
        response.headers[name] = value
    if refusal.retry_after is not None:
        response.headers["retry-after"] = str(refusal.retry_after)
    return response


def signed_out(page: PageRequest) -> Response:
    """Redirect to the sign-in page, without the cookies of the ended session."""
    response = page.redirect("/sign-in", done="signed_out")
    clear_session_cookies(page.call, response)
    return response
