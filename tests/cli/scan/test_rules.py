"""The rules for other scanners find what the product makes, and nothing else (S15)."""

from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.crypto import base64url, tokens, webhook_signatures

ROOT = Path(__file__).parents[3]
RULES = ROOT / "rules"
GITLEAKS, SECRETS, TOKENS = tomllib.loads((RULES / "gitleaks.toml").read_text("utf-8"))["rules"]
GITHUB: dict[str, Any] = tomllib.loads((RULES / "github-custom-pattern.toml").read_text("utf-8"))
GITHUB_TOKENS: dict[str, Any] = tomllib.loads(
    (RULES / "github-custom-pattern-tokens.toml").read_text("utf-8")
)
# Neither RE2 nor Hyperscan looks around or back.
NOT_EVERYWHERE = re.compile(r"\(\?(?:=|!|<|P=)|\\[1-9]|\\k")


def gitleaks(text: str, rule: dict[str, Any] = GITLEAKS) -> list[str]:
    """Find as gitleaks does: keyword, pattern, entropy, allow-list."""
    if not any(keyword in text.lower() for keyword in rule["keywords"]):
        return []
    found = [match[rule["secretGroup"]] for match in re.finditer(rule["regex"], text)]
    allowed = [pattern for one in rule.get("allowlists", ()) for pattern in one["regexes"]]
    return [
        secret
        for secret in found
        if entropy(secret) > rule["entropy"] and not any(re.search(each, secret) for each in allowed)
    ]


def github(text: str, rule: dict[str, Any] = GITHUB) -> list[str]:
    """Find as GitHub does: what may stand before, the secret, what may stand after."""
    before, after = rule["before_secret"], rule["after_secret"].replace(r"\z", r"\Z")
    pattern = rf"(?:{before})({rule['secret_format']})(?:{after})"
    found = [match[1] for match in re.finditer(pattern, text)]
    return [each for each in found if not any(re.search(one, each) for one in rule["must_not_match"])]


def entropy(text: str) -> float:
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


@pytest.mark.parametrize("find", [gitleaks, github])
def test_keys_that_the_product_makes_are_found(find: Any) -> None:
    for _ in range(3000):
        key = tokens.new_token("czo_")
        for text in (key, f'KEY="{key}"', f"a {key}\n", f"x={key};", f"prod_{key}"):
            assert find(text) == [key]


@pytest.mark.parametrize("find", [gitleaks, github])
@given(secret=st.binary(min_size=32, max_size=32).map(base64url.encode), change=st.integers(0, 5))
def test_near_misses_are_not_found(find: Any, secret: str, change: int) -> None:
    key = f"czo_{secret}"
    misses = [key[:-1], f"{key}A", f"{key[:-1]}B", f"x{key}", f"czs_{secret}", f"czo_EXAMPLE{secret[7:]}"]
    miss = misses[change]
    if not tokens.is_well_formed(miss, "czo_") or miss.startswith("czo_EXAMPLE"):
        assert find(miss) == []


def test_secrets_of_webhooks_are_found() -> None:
    for _ in range(3000):
        secret = webhook_signatures.secret_text(webhook_signatures.new_secret())
        for text in (secret, f'SECRET="{secret}"', f"a {secret}\n", f"x={secret};"):
            assert gitleaks(text, SECRETS) == [secret]
        assert gitleaks(secret[:-2] + "=", SECRETS) == gitleaks(f"x{secret}", SECRETS) == []


@pytest.mark.parametrize("kind", sorted(tokens.RESERVED_PREFIXES))
def test_other_tokens_are_found_whatever_they_are_for(kind: str) -> None:
    for _ in range(300):
        token = tokens.new_token(kind)
        for text in (token, f'TOKEN="{token}"', f"a {token}\n"):
            assert gitleaks(text, TOKENS) == [token]
            assert github(text, GITHUB_TOKENS) == [token]
        for miss in (token[:-1], f"{token}A", f"x{token}"):
            assert gitleaks(miss, TOKENS) == github(miss, GITHUB_TOKENS) == []
    assert gitleaks(tokens.new_token("czo_"), TOKENS) == []


def test_every_kind_of_token_is_in_the_rules() -> None:
    assert set(TOKENS["keywords"]) == tokens.RESERVED_PREFIXES
    assert f"({GITHUB_TOKENS['secret_format']})" in TOKENS["regex"]


@pytest.mark.parametrize(
    "pattern",
    [
        SECRETS["regex"],
        TOKENS["regex"],
        GITHUB_TOKENS["secret_format"],
        GITLEAKS["regex"],
        GITHUB["secret_format"],
        GITHUB["before_secret"],
        GITHUB["after_secret"],
    ],
)
def test_patterns_are_written_as_every_engine_reads_them(pattern: str) -> None:
    assert NOT_EVERYWHERE.search(pattern) is None
    assert "czo_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]" in GITLEAKS["regex"]


def test_hook_is_the_command_that_there_is() -> None:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    assert "entry: czo-auth scan --staged\n" in text
    assert "pass_filenames: false\n" in text
