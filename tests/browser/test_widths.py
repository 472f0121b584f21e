"""Nothing widens a page, from 320 px on: long words, names, addresses and tables (F38); and axe finds nothing."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Deployment
from tests.browser.visitor import NewVisitor, Visitor

WIDTHS = (320, 1280)
WORD = "K" * 60
ORGANIZATION = (
    "Donaudampfschiffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft" * 2 + "W" * 40
)
ADDRESS = f"{'a' * 64}@{'b' * 60}.{'c' * 60}.example.com"
SCOPE = f"{'s' * 60}:{'a' * 60}"
CSS_OVERFLOW = "document.scrollingElement.scrollWidth - window.innerWidth"


def check_widths(visitor: Visitor, name: str) -> None:
    """Check that the page that is open is no wider than the window, at every width, and its accessibility."""
    for width in WIDTHS:
        visitor.page.set_viewport_size({"width": width, "height": 800})
        over = visitor.page.evaluate(CSS_OVERFLOW)
        assert over <= 0, f"{name} is {over} px too wide at {width} px"
        visitor.picture(f"{name}-{width}")
    visitor.look(name)


def fill_with_long_words(ada: Visitor) -> str:
    """Give the account long words wherever it takes some; gives the path of its organization."""
    ada.open("/security")
    ada.fill(name=WORD * 3)
    ada.press("Save")
    ada.open("/organizations")
    ada.fill(name=ORGANIZATION)
    ada.press("Create")
    organization = ada.path
    ada.fill(email=ADDRESS)
    ada.press("Invite")
    check_widths(ada, "invited")
    ada.open("/api-keys/new")
    check_widths(ada, "api-key-new")
    ada.fill(
        name=WORD,
        allowed_ips="2001:db8:1111:2222:3333:4444:5555:6666 2001:db8:aaaa:bbbb::/64",
        rate_max="1000000",
    )
    ada.press("Create key")
    check_widths(ada, "api-key-shown")
    ada.open(f"{organization}/webhooks")
    ada.fill(url=f"https://hooks.example.com/{'p' * 300}", events="*", description=WORD * 3)
    ada.press("Add")
    check_widths(ada, "webhook-secret")
    ada.open(f"{organization}/service-accounts")
    ada.fill(name=WORD, description=WORD * 3, scopes=SCOPE)
    ada.submit("main form[action$='/service-accounts']")
    account = ada.path
    check_widths(ada, "service-account")
    ada.fill(key_name=WORD)
    ada.page.locator("input[name=scope]").first.check()
    ada.submit("main form[action$='/keys']")
    check_widths(ada, "service-account-key")
    ada.open(account)
    check_widths(ada, "service-account-with-a-key")
    return organization


@pytest.mark.deep
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_long_words_widen_no_page(visit: NewVisitor, deployment: Deployment, scheme: str) -> None:
    ada = visit(email=deployment.new_admin(), color_scheme=scheme)
    for path in ("/sign-in", "/sign-up", "/forgot-password", "/verify-email/send", "/nowhere"):
        ada.open(path)
        check_widths(ada, f"{scheme}{path.replace('/', '-')}")
    ada.begin("admin")
    ada.press("Begin")
    ada.scan()
    check_widths(ada, f"{scheme}-enrol-shown")
    ada.confirm()
    organization = fill_with_long_words(ada)
    paths = ["/security", "/enrol", "/security/backup-codes", "/security/disable", "/password", "/email"]
    paths += [
        "/delete-account",
        "/activity",
        "/api-keys",
        "/organizations",
        organization,
        f"{organization}/webhooks",
    ]
    paths += [f"{organization}/service-accounts", f"{organization}/api-keys"]
    paths += ["/admin", "/admin/users", "/admin/new-user", "/admin/organizations", "/admin/api-keys"]
    paths += ["/admin/audit", "/admin/events", "/admin/webhooks"]
    for path in paths:
        ada.open(path)
        check_widths(
            ada, f"{scheme}{path.replace('/', '-').replace(organization.replace('/', '-'), '-organization')}"
        )
    for list_path, link, name in (
        ("/api-keys", f"a[href*='/api-keys/']:has-text('{WORD}')", "api-key"),
        (f"{organization}/webhooks", "ul.things a", "webhook"),
        ("/admin/users", "tbody th a", "admin-user"),
    ):
        ada.open(list_path)
        ada.page.locator(link).first.click()
        check_widths(ada, f"{scheme}-{name}")
    ada.fill(reason=WORD)
    ada.press("Ban")
    check_widths(ada, f"{scheme}-admin-confirm")


@pytest.mark.parametrize("language", ["fr", "de"])
def test_buttons_in_tables_and_fields_of_filters_are_as_wide_as_their_content(
    visit: NewVisitor, deployment: Deployment, language: str
) -> None:
    ada = visit(email=deployment.new_admin(), locale=language, viewport={"width": 320, "height": 800})
    ada.settle_as_admin()
    ada.open("/organizations")
    ada.fill(name="Looms")
    ada.submit("main form[action$='/organizations']")
    ada.open(f"{ada.path}/service-accounts")
    ada.fill(name="pipeline", scopes="a:read")
    ada.submit("main form[action$='/service-accounts']")
    account = ada.path
    ada.fill(key_name="nightly")
    ada.submit("main form[action$='/keys']")
    ada.open(account)
    for summary in ada.page.locator("table summary").all():
        summary.click()
    buttons = ada.page.locator("table button, table .button").all()
    assert len(buttons) == 4
    for button in buttons:
        assert button.evaluate("each => each.scrollWidth - each.clientWidth") <= 0, button.inner_text()
    ada.open("/admin/audit")
    for name in ("user", "action"):
        box = ada.page.locator(f"#f-{name}").bounding_box()
        assert box is not None
        assert box["width"] > 200, name
