"""Each secret of a deployment has a drill: what to do when it leaked (docs/how-to/rotate-keys.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from czo_auth.setting_sources import variable_of
from czo_auth.settings import SECRETS

PAGE = (Path(__file__).parents[2] / "docs/how-to/rotate-keys.md").read_text("utf-8")
DRILLS = PAGE.partition("## Drills\n")[2].partition("\n## ")[0]
HANDED_OUT = ("API key", "webhook secret", "session or refresh token", "signing key", "backup")
"""What the deployment makes itself."""


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_setting_has_a_drill(name: str) -> None:
    if name == "encryption_key":
        assert "| **encryption key**" in DRILLS
    else:
        assert f"`{variable_of(name)}`" in DRILLS


@pytest.mark.parametrize("what", HANDED_OUT)
def test_everything_secret_that_is_handed_out_has_a_drill(what: str) -> None:
    assert f"| **{what}**" in DRILLS
