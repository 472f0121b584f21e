"""What a page costs when it is only looked at, however often: no row in any table."""

from __future__ import annotations

import pytest

from tests.contract.database import TABLES, sql
from tests.web.conftest import Pages

VIEWS = 40


async def rows(pages: Pages) -> dict[str, int]:
    """Count the rows of every table."""
    url = pages.here.runtime.settings.database_url
    assert url is not None
    counted = {table: await sql(url, f"SELECT count(*) FROM {{}}{table}") for table in TABLES}
    return {table: found[0][0] for table, found in counted.items()}


@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign-in?as=merchant", "/sign-up", "/forgot-password", "/sign-in/code", "/device"]
)
async def test_views_of_pages_by_strangers_store_nothing(pages: Pages, path: str) -> None:
    """Each page of sign-in holds a passkey ceremony, which is sealed in the page and in no table."""
    await pages.get(path)
    before = await rows(pages)
    texts = set()
    for number in range(VIEWS):
        answer = await pages.get(
            path, accept_language=("de", "fr", "en")[number % 3], user_agent=f"Browser/{number}"
        )
        assert answer.status_code in (200, 303)
        texts.add(answer.text)
    await pages.here.runtime.services.background.finish()
    assert await rows(pages) == before
    if path.startswith("/sign-in") and "/code" not in path:
        assert len(texts) == VIEWS, "each has a ceremony of its own"
