"""What guards the pages: headers, origins, escaping, and who is led where."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from czo_auth.web.app import GROUPS
from czo_auth.web.renderer import POLICY
from tests.contract.api import CHALLENGE_COOKIE, SESSION_COOKIE
from tests.contract.database import sql
from tests.contract.people import Phone
from tests.contract.routes import NOWHERE
from tests.web.conftest import Pages

ROUTES: list[Route] = [route for group in GROUPS for route in group.pages.routes]
PATHS = {
    method: [
        re.sub(r"\{[a-z]+\}", NOWHERE, route.path) for route in ROUTES if method in (route.methods or ())
    ]
    for method in ("GET", "POST")
}
WHILE_ENROLLING = {
    "/enrol",
    "/enrol/confirm",
    f"/enrol/shown/{NOWHERE}",
    "/sign-out",
    "/language",
    "/passkeys/new",
    "/passkeys",
}
FOR_ANYBODY = {
    *(
        "/sign-in",
        "/sign-in/code",
        "/sign-in/passkey",
        "/sign-in/code/passkey",
        "/sign-up",
        "/sign-out",
        "/forgot-password",
        "/reset-password",
    ),
    *(
        "/verify-email",
        "/verify-email/send",
        "/cancel-reset",
        "/revert-email-change",
        "/reject-verification",
        "/secure-account",
        "/language",
    ),
}
FORM = "application/x-www-form-urlencoded"


def _flattened(policy: str) -> dict[str, str]:
    return {part.split()[0]: " ".join(part.split()[1:]) for part in policy.split(";")}


async def test_every_answer_carries_the_guards(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    answers = [await pages.get(path) for path in (*PATHS["GET"], "/nowhere", "/static/style.css")]
    answers += [await pages.get(path, session=session.token) for path in PATHS["GET"]]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.removesuffix("; connect-src 'self'") == POLICY
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] in ("same-origin", "strict-origin")
        if "/static/" not in str(answer.url):
            assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son[a-z]+=|\sstyle=|javascript:", answer.text)
        assert "access-control-allow-origin" not in answer.headers
    assert _flattened(POLICY)["frame-ancestors"] == "'none'"


async def test_no_page_names_another_host(pages: Pages) -> None:
    for path in FOR_ANYBODY - {"/sign-out", "/language"}:
        text = (await pages.get(path)).text
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text), path


async def test_an_address_with_a_token_is_reported_to_nobody(pages: Pages) -> None:
    for path in ("/reset-password?token=x", "/cancel-reset?token=x", "/sign-in?next=/accept-invitation"):
        assert (await pages.get(path)).headers["referrer-policy"] == "strict-origin"


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example"])
async def test_no_form_is_taken_from_another_site(pages: Pages, origin: str | None) -> None:
    _, session = await pages.here.people.newcomer()
    for path in PATHS["POST"]:
        for token in (None, session.token):
            answer = await pages.post(path, session=token, origin=origin)
            assert answer.status_code == 403, path
            assert "set-cookie" not in answer.headers
    assert await pages.here.people.is_alive(session)


async def test_a_link_on_another_site_signs_nobody_in(pages: Pages) -> None:
    answer = await pages.post("/sign-in", sec_fetch_site="cross-site", sec_fetch_mode="navigate")
    assert answer.status_code == 403


async def test_a_restricted_session_is_led_to_enrollment_from_every_page(pages: Pages) -> None:
    _, session = await pages.here.admin()
    for method, ask in (("GET", pages.get), ("POST", pages.post)):
        for path in set(PATHS[method]) - WHILE_ENROLLING:
            answer = await ask(path, session=session.token)
            assert (answer.status_code, answer.headers.get("location")) == (303, "/account/enrol"), path


async def test_promotion_leads_a_live_session_to_enrollment(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    assert (await pages.get("/security", session=session.token)).status_code == 200
    await pages.here.promote(account)
    answer = await pages.get("/security", session=session.token)
    assert answer.headers["location"] == "/account/enrol"


async def test_who_is_not_signed_in_is_asked_to(pages: Pages) -> None:
    for method, ask in (("GET", pages.get), ("POST", pages.post)):
        for path in set(PATHS[method]) - FOR_ANYBODY:
            for cookie in ("", f"{SESSION_COOKIE}=czs_{'A' * 43}"):
                answer = await ask(path, cookie=cookie)
                assert answer.status_code == 303, path
                assert answer.headers["location"].startswith("/account/sign-in?next=%2F"), path


async def test_administration_is_for_administrators_with_a_proved_factor(pages: Pages) -> None:
    here = pages.here
    carol = await here.people.sign_in(here.carol)
    for path in [path for path in PATHS["GET"] if path.startswith("/admin")]:
        assert (await pages.get(path, session=carol.token)).status_code == 403, path
    for path in [path for path in PATHS["POST"] if path.startswith("/admin")]:
        assert (await pages.post(path, {"reason": "x"}, session=carol.token)).status_code == 403, path
    here.time.advance(minutes=2)
    ada = await here.people.sign_in(here.ada, "admin")
    for path in (
        "/admin",
        "/admin/users",
        "/admin/api-keys",
        "/admin/audit",
        "/admin/events",
        "/admin/audit.csv",
    ):
        assert (await pages.get(path, session=ada.token)).status_code == 200, path


async def test_nobody_is_led_to_another_host(pages: Pages) -> None:
    account = await pages.here.people.sign_up()
    for wanted in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/@evil",
        "javascript:x",
        "/\n/x",
    ):
        form = {"as": "customer", "email": account.email, "password": account.password, "next": wanted}
        answer = await pages.post("/sign-in", form)
        assert answer.headers["location"] == "/account/", wanted
    form = {"as": "customer", "email": account.email, "password": account.password, "next": "/api-keys"}
    answer = await pages.post("/sign-in", form)
    assert answer.headers["location"] == "/account/api-keys"


HOSTILE = "<script>alert(1)</script>\" onload='x' {{ 7 * 7 }} %(x)s {code}"


async def test_hostile_names_are_text(pages: Pages) -> None:
    here = pages.here
    account = await here.people.sign_up("merchant", name=HOSTILE, organizationName=HOSTILE)
    session = await here.people.sign_in(account, "merchant")
    await pages.post("/api-keys/new", {"name": HOSTILE, "scopes": ""}, session=session.token)
    found = await pages.get("/organizations", session=session.token)
    organization = re.findall(r"/account(/organizations/[0-9a-f-]{36})", found.text)[0]
    here.time.advance(minutes=2)
    ada = await here.people.sign_in(here.ada, "admin")
    texts = [
        (await pages.get(path, session=session.token)).text
        for path in ("/security", "/api-keys", "/api-keys/new", "/organizations", organization)
    ]
    texts += [
        (await pages.get(path, session=ada.token)).text
        for path in (
            "/admin/users",
            f"/admin/users/{account.id}",
            "/admin/api-keys",
            "/admin/audit",
            "/admin/events",
        )
    ]
    texts.append((await pages.post("/sign-in", {"as": HOSTILE, "email": HOSTILE, "next": HOSTILE})).text)
    texts.append((await pages.get("/sign-in?as=%3Cscript%3Ealert(1)%3C/script%3E&done=%3Cscript%3E")).text)
    for text in texts:
        assert "<script>alert" not in text
        assert "onload='x'" not in text
        assert " 49 " not in text
    assert sum("&lt;script&gt;alert(1)" in text for text in texts) >= 6


async def test_a_hostile_browser_is_text_too(pages: Pages) -> None:
    account = await pages.here.people.sign_up()
    form = {"as": "customer", "email": account.email, "password": account.password}
    answer = await pages.post("/sign-in", form, user_agent="<img src=x onerror=alert(1)>")
    token = re.findall(rf"{SESSION_COOKIE}=([^;]+)", answer.headers["set-cookie"])[0]
    text = (await pages.get("/security", session=token)).text
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


async def test_secrets_are_on_the_page_of_their_form_and_on_no_other(pages: Pages) -> None:
    here = pages.here
    _, session = await here.people.newcomer()
    shown = await pages.shown("/enrol", session=session.token)
    secret = re.findall(r'id="manual-key"[^>]*>([A-Z2-7 ]+)<', shown.text)[0]
    created = await pages.shown("/api-keys/new", {"name": "x", "scopes": ""}, session=session.token)
    key = re.findall(r"czo_[A-Za-z0-9_-]{43}", created.text)[0]
    needles = {secret, secret.replace(" ", ""), key, session.token, "otpauth:", "data:image/svg"}
    paths = [*PATHS["GET"], *re.findall(r"/account(/api-keys/[0-9a-f-]{36})", created.text)]
    keys = await pages.get("/api-keys", session=session.token)
    paths += re.findall(r"/account(/api-keys/[0-9a-f-]{36})", keys.text)
    for path in paths:
        text = (await pages.get(path, session=session.token)).text
        assert not [needle for needle in needles if needle in text], path
    wrong = await pages.post("/enrol/confirm", {"code": "000000"}, session=session.token)
    assert wrong.status_code == 401
    assert not [needle for needle in needles if needle in wrong.text]
    assert "set-auth-token" not in shown.headers
    phone = Phone(secret.replace(" ", ""), lambda: here.time.now)
    on = await pages.post(
        "/enrol/confirm", {"code": phone.code(), **form_of(shown.text)}, session=session.token
    )
    renewed = re.findall(rf"{SESSION_COOKIE}=([^;]+)", on.headers["set-cookie"])[0]
    text = (await pages.get(on.headers["location"].removeprefix("/account"), session=renewed)).text
    codes = re.findall(r"<li><code>([0-9A-Z-]{16,})</code>", text)
    assert len(codes) == 10
    for path in paths:
        text = (await pages.get(path, session=renewed)).text
        assert not [needle for needle in {*codes, secret} if needle in text], path


def form_of(text: str) -> dict[str, str]:
    """Return what the form of the first code carries hidden."""
    return dict(re.findall(r'name="(nonce|shown)" value="([^"]+)"', text))


async def test_what_was_typed_comes_back_but_for_passwords_and_codes(pages: Pages) -> None:
    form = {"as": "customer", "email": "ada@example.com", "password": "my secret words", "code": "123987"}
    answer = await pages.post("/sign-in", form)
    assert answer.status_code == 401
    assert 'value="ada@example.com"' in answer.text
    assert "my secret words" not in answer.text
    answer = await pages.post("/sign-in/code", form, cookie=f"{CHALLENGE_COOKIE}=czc_{'A' * 43}")
    assert answer.status_code == 401
    assert "123987" not in answer.text


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"a=" + b"x" * 70_000, FORM, 413),
        (b"{}", "application/json", 415),
        (b"email=%ff%fe", FORM, 400),
        (b"email=%00", FORM, 400),
        ("email=é".encode(), FORM, 400),
        (b"&".join(b"a=1" for _ in range(300)), FORM, 400),
    ],
)
async def test_odd_bodies_are_refused(pages: Pages, body: bytes, content_type: str, status: int) -> None:
    headers = {"origin": "http://auth.test", "content-type": content_type}
    answer = await pages.http.post("/account/sign-in", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


async def test_the_root_leads_to_the_pages(pages: Pages) -> None:
    answer = await pages.http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/")
    assert (await pages.http.post("/")).status_code == 405
    answer = await pages.get("/sign-in", accept_language="it, fr;q=0.5")
    assert answer.headers["content-language"] == "fr"
    assert (await pages.http.put("/account/sign-in")).status_code == 405


async def test_a_list_never_ignores_a_filter_or_a_position(pages: Pages) -> None:
    here = pages.here
    ada = await here.people.sign_in(here.ada, "admin")
    form = {"url": "https://hooks.example.com/czo", "events": "*"}
    made = await pages.shown("/admin/webhooks", form, session=ada.token)
    webhook = re.findall(r'href="/account(/admin/webhooks/[0-9a-f-]{36})"', made.text)[0]
    unknown = (
        ("/admin/users", "status", "Unknown status."),
        ("/admin/users", "actor", "Unknown actor type."),
        ("/admin/users", "two_factor", "is on or off"),
        ("/admin/users", "cursor", "not the address of a page"),
        ("/admin/api-keys", "unused", None),
        ("/admin/audit", "action", "Unknown action."),
        ("/admin/audit.csv", "action", "Unknown action."),
        ("/admin/audit", "outcome", "Unknown outcome."),
        ("/admin/audit", "cursor", "not the address of a page"),
        ("/admin/audit", "newer", "not the address of a page"),
        ("/admin/audit.csv", "outcome", "Unknown outcome."),
        ("/admin/events", "type", "Unknown event type."),
        ("/admin/events", "cursor", "not the address of a page"),
        (webhook, "status", "Unknown status."),
        (webhook, "cursor", "not the address of a page"),
        ("/activity", "cursor", "not the address of a page"),
        ("/api-keys", "cursor", "not the address of a page"),
    )
    for path, name, said in unknown:
        refused = await pages.get(f"{path}?{name}=zz", session=ada.token)
        assert (refused.status_code, (said or "") in refused.text) == (400, True), (path, name, refused.text)
        assert (await pages.get(f"{path}?{name}=", session=ada.token)).status_code == 200, (path, name)


@pytest.mark.parametrize(
    ("address", "field", "kept"),
    [
        (
            "/admin/users?actor=zz&search=ada&status=active",
            "actor",
            ['value="ada"', 'value="active" selected'],
        ),
        ("/admin/users?status=zz&actor=merchant", "status", ['value="merchant" selected']),
        ("/admin/audit?action=zz&since=2026-01-01T00:00", "action", ['value="2026-01-01T00:00"']),
        (
            "/admin/audit?user=nobody@example.org&action=auth.sign_in",
            "user",
            ["<option selected>auth.sign_in"],
        ),
        ("/admin/audit?until=zz&outcome=denied", "until", ['value="denied" selected']),
        ("/admin/events?type=zz", "type", []),
        ("/admin/api-keys?unused=zz&search=czo_", "unused", ['value="czo_"']),
        ("{webhook}?status=zz", "status", ["https://hooks.example.com/czo"]),
    ],
)
async def test_a_refused_filter_is_explained_at_its_field_and_the_form_stays_filled(
    pages: Pages, address: str, field: str, kept: list[str]
) -> None:
    here = pages.here
    ada = await here.people.sign_in(here.ada, "admin")
    made = await pages.shown(
        "/admin/webhooks", {"url": "https://hooks.example.com/czo", "events": "*"}, session=ada.token
    )
    webhook = re.findall(r'href="/account(/admin/webhooks/[0-9a-f-]{36})"', made.text)[0]
    answer = await pages.get(address.format(webhook=webhook), session=ada.token)
    assert answer.status_code == 400
    text = answer.text
    why = re.findall(rf'<p class="why" id="e-{field}">([^<]+)</p>', text)
    assert why
    assert f'<a href="#f-{field}">{why[0]}</a>' in text
    assert re.search(rf'id="f-{field}"[^>]* aria-invalid="true" aria-describedby=" ?e-{field}"', text)
    refused = re.search(rf"[?&]{field}=([^&]+)", address)
    assert refused
    assert re.search(rf'<option selected>{refused[1]}<|id="f-{field}"[^>]* value="{refused[1]}"', text)
    for each in kept:
        assert each in text
    # Neither all rows, which would look like the result, nor none.
    assert here.carol.email not in text
    assert "Found:" not in text
    assert "Nothing found" not in text


async def test_pages_filter_by_what_an_older_version_stored(pages: Pages) -> None:
    here = pages.here
    ada = await here.people.sign_in(here.ada, "admin")
    url = here.runtime.settings.storage_url
    await sql(url, "UPDATE {}users SET actor_types = 'customer reseller' WHERE id = $1", here.carol.id)
    await sql(url, "UPDATE {}audit SET action = 'auth.user.renamed' WHERE sequence = 1")
    await sql(url, "UPDATE {}events SET type = 'auth.user.renamed' WHERE sequence = 1")
    for address, name in (
        ("users?actor=", "reseller"),
        ("audit?action=", "auth.user.renamed"),
        ("events?type=", "auth.user.renamed"),
    ):
        answer = await pages.get(f"/admin/{address}{name}", session=ada.token)
        assert answer.status_code == 200
        assert f"<option selected>{name}</option>" in answer.text
        assert name in answer.text.partition('id="results"')[2]


@pytest.mark.parametrize(
    "address",
    [
        "/admin/audit?since=2026-01-01&since=2026-02-01",
        "/admin/audit.csv?since=2026-01-01&since=2026-02-01",
        "/admin/audit.json?action=auth.sign_in&action=",
        "/admin/users?status=active&status=banned",
        "/admin/users?search=a&search=b",
        "/api-keys?unused=30&unused=90",
        "/activity?cursor=1&cursor=1",
    ],
)
async def test_a_doubled_parameter_is_refused(pages: Pages, address: str) -> None:
    ada = await pages.here.people.sign_in(pages.here.ada, "admin")
    refused = await pages.get(address, session=ada.token)
    assert refused.status_code == 400
    assert "given more than once" in refused.text
