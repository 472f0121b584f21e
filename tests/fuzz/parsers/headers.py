"""What stands in headers: credentials, cookies, forwarded addresses, origins."""

from __future__ import annotations

import ipaddress
import re
import string
from datetime import UTC, datetime, timedelta

from czo_auth.asgi.clients import Clients
from czo_auth.asgi.cookies import Cookies
from czo_auth.asgi.credentials import Credential, read_authorization
from czo_auth.asgi.origins import Origins
from czo_auth.core.errors import (
    CrossSiteNavigationBlocked,
    InvalidOrigin,
    InvalidRequest,
    MissingOrNullOrigin,
)
from czo_auth.core.limits import MAX_TOKEN
from tests.fuzz.parsers.target import Target

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SECRET = "A" * 42
BASE64URL = frozenset(string.ascii_letters + string.digits + "-_")
TOKEN68 = BASE64URL | frozenset("._~+/=")


# --- Authorization ---------------------------------------------------------------------------------------------------
def authorization(data: bytes) -> bool:
    """Hold the reader against the sentences of docs/reference/rest.md, spelled out."""
    values = data.split(b"\x00")
    headers = [(b"authorization", value) for value in values if value != b"-"]
    expected = _expected_credential([value for _, value in headers])
    try:
        found = read_authorization(headers, api_key_prefix="czo_")
    except InvalidRequest:
        assert expected == "malformed", data
        return False
    assert found == expected, data
    if found is not None:
        assert len(found.value) < 20 or found.value not in repr(found)
        again = read_authorization(
            [(b"authorization", f"bEARER {found.value}".encode())], api_key_prefix="czo_"
        )
        assert again == found
    return found is not None


def _expected_credential(values: list[bytes]) -> Credential | str | None:
    if not values:
        return None
    if len(values) > 1:
        return "malformed"
    scheme, _, rest = values[0].decode("latin-1").partition(" ")
    if not (scheme.isascii() and scheme.lower() == "bearer"):
        return None if scheme and rest.strip("\t\n\x0b\x0c\r ") else "malformed"
    token = rest.strip(" ")
    if not token or len(token) > MAX_TOKEN or not set(token) <= TOKEN68:
        return "malformed"
    if token.startswith("czo_"):
        return Credential(kind="api_key", value=token)
    if token.startswith("czs_"):
        return Credential(kind="session", value=token)
    parts = token.split(".")
    is_jwt = len(parts) == 3 and all(part and set(part) <= BASE64URL for part in parts)
    return Credential(kind="access_token" if is_jwt else "unknown", value=token)


# --- cookies ---------------------------------------------------------------------------------------------------------
PREFIX_OF = {
    "better-auth.session_token": "czs_",
    "better-auth.two_factor": "czc_",
    "better-auth.trust_device": "czd_",
}


def cookies(data: bytes) -> bool:
    """Only our names, only well-formed values, the first of each; and what is set is what is read."""
    is_secure = data[:1] == b"s"
    reader = Cookies(secure=is_secure)
    start = "__Secure-" if is_secure else ""
    headers = [(b"cookie", line) for line in data[1:].split(b"\x00")]
    found = reader.read(headers)
    assert found == _expected_cookies(data[1:].decode("latin-1").replace("\x00", ";"), start), data
    for name, value in found.items():
        line = reader.set(name, value, until=NOW + timedelta(hours=1), now=NOW)
        pair, *attributes = line.split("; ")
        assert reader.read([(b"cookie", pair.encode())]) == {name: value}
        assert {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=3600"} <= set(attributes)
        assert ("Secure" in attributes) == is_secure
    return bool(found)


def _expected_cookies(text: str, start: str) -> dict[str, str]:
    expected: dict[str, str] = {}
    for pair in text.split(";"):
        name, _, value = pair.strip().partition("=")
        prefix = PREFIX_OF.get(name.removeprefix(start)) if name.startswith(start) else None
        bare = value.strip('"')
        secret = bare[4:]
        good = (
            prefix is not None
            and bare[:4] == prefix
            and len(secret) == 43
            and set(secret) <= BASE64URL
            and secret[-1] in "AEIMQUYcgkosw048"
        )
        if name == f"{start}better-auth.trust_device":
            parts = [part for part in bare.split(".", 8)[:8] if _is_device_token(part)]
            good, bare = bool(parts), ".".join(parts)
        if good:
            expected.setdefault(name, bare)
    return expected


def _is_device_token(text: str) -> bool:
    secret = text[4:]
    is_long_enough = len(secret) == 43 and set(secret) <= BASE64URL
    return text[:4] == "czd_" and is_long_enough and secret[-1] in "AEIMQUYcgkosw048"


# --- X-Forwarded-For -------------------------------------------------------------------------------------------------
TRUSTED = ("127.0.0.0/8", "10.0.0.1", "fd00::/8")
_CLIENTS = Clients(TRUSTED)


def forwarded(data: bytes) -> bool:
    """The address is a plain one, comes from a trusted peer's word or is the peer; nothing else gets into the log."""
    peer = ("203.0.113.9", "127.0.0.1", "fd00::1", "10.0.0.1", "::ffff:127.0.0.1", "")[
        data[0] % 6 if data else 0
    ]
    *before, last = data[1:].split(b"\x00")
    scope = {
        "client": (peer, 1) if peer else None,
        "headers": [
            *((b"x-forwarded-for", value) for value in before),
            (b"user-agent", last),
            (b"x-request-id", last),
        ],
    }
    origin = _CLIENTS.context(scope, now=NOW)
    text = ",".join(value.decode("latin-1") for value in before) if before else None
    assert origin.ip == _expected_address(peer or None, text), data
    assert origin.ip is None or len(origin.ip) <= 39
    assert origin.user_agent is not None
    assert all(character.isprintable() or ord(character) >= 0xA0 for character in origin.user_agent), data
    assert set(origin.request_id or "") <= BASE64URL | {"."}
    assert 1 <= len(origin.request_id or "") <= 64
    return text is not None and origin.ip != peer


def _expected_address(peer: str | None, text: str | None) -> str | None:
    hops = [] if text is None else [part.strip() for part in text.split(",") if part.strip()]
    nearest = _plain(peer)
    address = nearest
    while hops and address is not None and any(_plain_in(address, network) for network in TRUSTED):
        address = _hop(hops.pop())
        if address is None:
            return nearest
        nearest = address
    return address


def _hop(text: str) -> str | None:
    """An address of a hop: quoted or not, in brackets or not, with a port or not."""
    text = text.strip('"')
    if text.startswith("["):
        inner, bracket, port = text[1:].partition("]")
        return _plain(inner) if bracket and re.fullmatch("(:[0-9]{1,5})?", port) else None
    host, colon, port = text.partition(":")
    if colon and re.fullmatch("[0-9.]+", host) and re.fullmatch("[0-9]{1,5}", port):
        return _plain(host)
    return _plain(text)


def _plain(text: str | None) -> str | None:
    bare, percent, zone = (text or "").partition("%")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if percent and (address.version == 4 or not zone or "%" in zone):
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _plain_in(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


# --- Origin and Referer ----------------------------------------------------------------------------------------------
OWN = "https://auth.example"
_ORIGINS = Origins(OWN, ["https://*.shop.example", "http://localhost:3000"])


def origin(data: bytes) -> bool:
    """A request is let through only when it names a trusted origin, whole."""
    kind, _, rest = data.decode("latin-1").partition(":")
    headers = {"origin": rest} if kind == "o" else {"referer": rest}
    if kind == "s":
        headers = {"origin": rest, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    try:
        scope = {"headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]}
        _ORIGINS.check_sign_in(scope, carries_cookie=True)
    except (MissingOrNullOrigin, InvalidOrigin):
        return False
    except CrossSiteNavigationBlocked:
        assert kind == "s"
        return False
    # A reader of addresses drops what stands before one, and what ends a line anywhere in it.
    bare = re.sub("[\t\r\n]", "", rest.lower()).lstrip("".join(map(chr, range(0x21))))
    assert bare.startswith(("https://", "http://")), data
    host = re.split("[/?#]", bare.partition("://")[2])[0]
    name, _, port = host.partition(":")
    if port.lstrip("0") in ("", "443" if bare.startswith("https:") else "80"):
        host = name
    trusted = host == "auth.example" or host == "localhost:3000" or host.endswith(".shop.example")
    assert trusted, data
    return True


TARGETS = {
    "authorization": Target(
        check=authorization,
        seeds=(
            b"",
            b"-",
            b"Bearer",
            b"Bearer ",
            b"Basic dTpw",
            b"bEaReR  a.b.c ",
            b"Bearer czo_" + SECRET.encode() + b"A",
            b"Bearer czs_" + SECRET.encode() + b"B",
            b"Bearer a..c",
            b"Bearer a.b.c\x00Bearer a.b.c",
            b"Bearer\ta",
            b"Bearer " + b"a" * 4097,
            "Bearer ſ".encode("latin-1", "replace"),
        ),
        words=(b"Bearer ", b"bearer", b"czo_", b"czs_", b"Basic ", b"."),
    ),
    "cookies": Target(
        check=cookies,
        seeds=(
            b"-better-auth.session_token=czs_"
            + SECRET.encode()
            + b"A; better-auth.two_factor=czc_"
            + SECRET.encode()
            + b"E",
            b's__Secure-better-auth.session_token="czs_' + SECRET.encode() + b'A"; a=b',
            b"-better-auth.session_token=x; better-auth.session_token=czs_" + SECRET.encode() + b"A",
            b"-better-auth.trust_device=czd_"
            + SECRET.encode()
            + b"8\x00better-auth.trust_device=czd_"
            + SECRET.encode()
            + b"4",
            b"-=;;;= =\xff",
        ),
        words=(
            b"better-auth.session_token=",
            b"__Secure-",
            b"czs_",
            b"czd_",
            b"; ",
            b"better-auth.two_factor=czc_",
        ),
    ),
    "forwarded": Target(
        check=forwarded,
        seeds=(
            b"\x00203.0.113.7\x00curl",
            b"\x01203.0.113.7, 10.0.0.1\x00curl/8",
            b"\x01unknown\x00a\nb",
            b"\x02::ffff:10.0.0.1\x002001:db8::1\x00id-1",
            b"\x01fe80::1%eth0\x00a",
            b"\x01fe80::1%<b>\r\n x\x00a",
            b"\x05127.0.0.1\x00",
        ),
        words=(b"127.0.0.1", b"10.0.0.1", b"::1", b"fd00::1", b"::ffff:", b"%", b", "),
    ),
    "origin": Target(
        check=origin,
        seeds=(
            b"o:https://auth.example",
            b"o:https://a.shop.example",
            b"o:https://a.shop.example.evil.example",
            b"o:null",
            b"r:https://auth.example/page?x#y",
            b"r:http://[",
            b"r:http://[::1",
            b"r:https://auth.example@evil.example/",
            b"s:https://auth.example",
        ),
        words=(
            b"https://",
            b"auth.example",
            b".shop.example",
            b"localhost:3000",
            b"[",
            b"]",
            b"@",
            b"http://",
        ),
    ),
}
