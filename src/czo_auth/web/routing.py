"""
Pages that cannot be declared without saying who may see them.

Who may is decided by `enter`, what may be done by the flows. A refusal leads to the page that helps against it, or back
to the form with a sentence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
    Refusal,
    SecondFactorNeeded,
    TwoFactorSetupRequired,
    Unauthorized,
)
from czo_auth.core.ids import is_id
from czo_auth.core.limits import DEFAULT_PAGE, MAX_CURSOR
from czo_auth.core.paging import PageQuery
from czo_auth.core.principal import Principal
from czo_auth.translations import Translations
from czo_auth.web.addresses import is_own_page
from czo_auth.web.error_messages import error_message
from czo_auth.web.forms import Form, read_form, read_query
from czo_auth.web.renderer import PageRenderer

SIGNED_OUT = Access(credential="optional_session")
"""Pages for people who are not signed in; who is, and may only enroll, is led to do so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """
    One request for a page.

    Attributes:
        call_or_none: None when the visitor was not let in, and sees why.
        query, form: What stands in the address, and what was submitted.
        refusal: Why the form is shown again.
    """

    renderer: PageRenderer
    request: Request
    translations: Translations
    call_or_none: RequestContext | None
    query: Form
    form: Form
    refusal: Refusal | None = None

    @property
    def call(self) -> RequestContext:
        """The call of a visitor who was let in."""
        if self.call_or_none is None:
            raise Unauthorized
        return self.call_or_none

    @property
    def caller(self) -> Principal | None:
        """Who is signed in, if somebody is."""
        return None if self.call_or_none is None else self.call_or_none.context.principal

    def id(self, name: str) -> str:
        """
        Return an id that stands in the path.

        Raises:
            NotFound: It has not the form of one.
        """
        text = str(self.request.path_params[name])
        if not is_id(text):
            raise NotFound
        return text

    def page_query(self, limit: int = DEFAULT_PAGE) -> PageQuery:
        """Read from the address which part of a list is wanted."""
        return PageQuery(limit=limit, cursor=self.query.optional("cursor", most=MAX_CURSOR))

    def show(self, template: str, *, http_status: int = 200, **values: object) -> Response:
        """Answer with a page."""
        error = None if self.refusal is None else error_message(self.refusal, self.translations, self.form)
        carried = self.request.cookies.get(self.renderer.notice_cookie)
        response = self.renderer.render(
            template,
            status=http_status,
            translations=self.translations,
            has_query=bool(self.request.scope.get("query_string")),
            values={
                **values,
                "error": error,
                "noticed": None
                if carried is None or error
                else self.renderer.open_notice(carried, self.path),
                "form": self.form,
                "query": self.query,
                "me": self.caller,
                "path": self.request.scope["path"],
                "new_nonce": self.renderer.new_nonce,
                "now": None if self.call_or_none is None else self.call_or_none.now,
            },
        )
        if carried is not None:
            response.headers.append("set-cookie", self.renderer.clear_notice())
        return response

    @property
    def path(self) -> str:
        """The path of this page below the mount."""
        return str(self.request.scope["path"])

    def go(self, path: str, *, done: str | None = None, **query: str) -> Response:
        """Send the browser to another page, with GET; *done* is what it says there once, a word of ``done.*``."""
        address = self.renderer.base + path
        if query:
            address += ("&" if "?" in path else "?") + urlencode(query)
        if self.request.headers.get("hx-request") == "true":
            # A script asked for a part of a page; following it there would put a whole page into that part.
            leading = Response(status_code=204, headers={"hx-redirect": address})
        else:
            leading = RedirectResponse(address, status_code=303)
        if done is not None:
            leading.headers.append("set-cookie", self.renderer.carry_notice(done, path.partition("?")[0]))
        return self.renderer.guarded(leading, has_query=True)

    def go_on(self, *, done: str | None = None) -> Response:
        """Send the browser to where its visitor wanted to go."""
        wanted = self.form.raw("next") or self.query.raw("next")
        return self.go(wanted if is_own_page(wanted) else "/", done=done)


View = Callable[[PageRequest], Awaitable[Response]]


class Pages:
    """A group of pages; each says its access, and none has a default."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def get(self, path: str, *, access: Access) -> Callable[[View], View]:
        """Register the decorated page."""

        def register(show: View) -> View:
            self._add("GET", path, show, access=access, again=None, opens_session=False)
            return show

        return register

    def post(
        self, path: str, *, access: Access, again: View, opens_session: bool = False
    ) -> Callable[[View], View]:
        """
        Register what the decorated function does with a form.

        Args:
            again: Shows the form again, when it was refused.
            opens_session: Whether it signs somebody in or up.
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
            translations=renderer.catalogues.best(request.headers.get("accept-language", "")),
            call_or_none=None,
            query=Form(),
            form=Form(),
        )
        try:
            page = await self._enter(request.app.state.app_state, page)
            return await self._shown(page)
        except Exception as error:
            return await self._refused(page, refusal_of(error))

    async def _enter(self, app_state: AppState, page: PageRequest) -> PageRequest:
        """Admit the visitor; a form must come from a page of ours even when no cookie came with it."""
        request = page.request
        is_form = self.again is not None
        if is_form:
            app_state.authenticator.origins.check_cookie_request(request.scope)
        call = await admit_request(app_state, request, self.access, opens_session=self.opens_session)
        form = await read_form(request) if is_form else Form()
        return replace(page, call_or_none=call, query=read_query(request), form=form)

    async def _shown(self, page: PageRequest) -> Response:
        try:
            return await self.show(page)
        except (Unauthorized, InvalidToken, TwoFactorSetupRequired, PhishingResistantFactorRequired):
            raise
        except Refusal as refusal:
            if self.again is None:
                raise
            return _with_status(await self.again(replace(page, refusal=refusal)), refusal)

    async def _refused(self, page: PageRequest, refusal: Refusal) -> Response:
        """Lead to the page that helps, or say why not."""
        match refusal:
            case TwoFactorSetupRequired():
                return page.go("/enrol")
            case SecondFactorNeeded() | PhishingResistantFactorRequired():
                return page.go("/prove", next=self._way_back(page))
            case Unauthorized() | InvalidToken() if page.caller is None:
                return page.go("/sign-in", next=self._way_back(page))
            case _:
                call = page.call_or_none or await recognize(page.request)
                refused = replace(page, call_or_none=call, refusal=refusal)
                return _with_status(refused.show("refused.html", switch_to=_way_in(refused)), refusal)

    def _way_back(self, page: PageRequest) -> str:
        scope = page.request.scope
        if self.again is not None:
            return "/"
        query: bytes = scope.get("query_string", b"")
        address = str(scope["path"]) + (f"?{query.decode('latin-1')}" if query else "")
        return address if is_own_page(address) else "/"


async def recognize(request: Request) -> RequestContext | None:
    """Return who asks for a page that they are not shown, so that it keeps the navigation; None for strangers."""
    if request.method not in ("GET", "HEAD"):
        return None
    try:
        return await admit_request(request.app.state.app_state, request, SIGNED_OUT, opens_session=False)
    except Exception:
        # The page says already what is wrong; without a navigation, then.
        return None


def _way_in(page: PageRequest) -> str | None:
    """Return the actor type that opens the administration to who is there as another one."""
    caller = page.caller
    if caller is None or caller.administers or not page.path.startswith("/admin"):
        return None
    actors = page.call.runtime.services.actors
    return next(
        (actor.name for actor in actors if actor.administers and actor.name in caller.actor_types), None
    )


def _with_status(response: Response, refusal: Refusal) -> Response:
    response.status_code = status_of(refusal)
    if refusal.retry_after is not None:
        response.headers["retry-after"] = str(refusal.retry_after)
    return response


def signed_out(page: PageRequest) -> Response:
    """Lead to the sign-in, without the cookies of the session that ended."""
    response = page.go("/sign-in", done="signed_out")
    clear_session_cookies(page.call, response)
    return response
