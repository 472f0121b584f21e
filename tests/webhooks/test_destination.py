"""S41: an endpoint's address is https, names a host, and leads to addresses that are reachable from everywhere."""

from __future__ import annotations

import pytest

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.limits import MAX_WEBHOOK_URL
from czo_auth.core.webhooks.destination import BAD_PORTS, is_global_address, parse_destination

REFUSED = {
    "plain http": "http://example.com/hook",
    "another scheme": "ftp://example.com/hook",
    "no scheme": "//example.com/hook",
    "a script": "javascript:alert(1)",
    "no host": "https:///hook",
    "nothing": "",
    "loopback": "https://127.0.0.1/",
    "any literal": "https://8.8.8.8/",
    "a short literal": "https://127.1/",
    "a literal as one number": "https://2130706433/",
    "a literal in hex": "https://0x7f000001/",
    "a literal in hex parts": "https://0x7f.0.0.0x1/",
    "a literal in octal": "https://0177.0.0.01/",
    "a literal with a final dot": "https://127.0.0.1./",
    "a literal behind a name": "https://example.127/",
    "a literal of IPv6": "https://[::1]/",
    "a mapped literal": "https://[::ffff:127.0.0.1]/",
    "a literal of NAT64": "https://[64:ff9b::7f00:1]/",
    "a zone id": "https://[fe80::1%25eth0]/",
    "a zone id, bare": "https://[fe80::1%eth0]/",
    "full-width digits": "https://１２７.0.0.1/",
    "circled letters": "https://ⓛocalhost/",
    "another dot": "https://127。0。0。1/",
    "an escape": "https://%31%32%37.0.0.1/",
    "localhost": "https://localhost/",
    "LOCALHOST": "https://LOCALHOST/",
    "below localhost": "https://hook.localhost/",
    "localhost with a final dot": "https://localhost./",
    "localhost.localdomain": "https://localhost.localdomain/",
    "a machine's own name": "https://metadata/",
    "a cloud's inner name": "https://metadata.google.internal/",
    "a name of the local network": "https://printer.local/",
    "a home's name": "https://router.home.arpa/",
    **{f"a name below {domain}": f"https://wiki.{domain}/" for domain in ("intranet", "lan", "home", "corp")},
    "an address's own name": "https://1.0.0.127.in-addr.arpa/",
    "an address's own name of IPv6": "https://1.0.0.0.ip6.arpa/",
    "a user": "https://user@example.com/",
    "a user and a password": "https://user:password@example.com/",
    "a user that looks like the host": "https://example.com:443@127.0.0.1/",
    "a backslash": "https://example.com\\@127.0.0.1/",
    "port 0": "https://example.com:0/",
    "a port beyond the last": "https://example.com:65536/",
    "a port of letters": "https://example.com:https/",
    "an empty port": "https://example.com:/",
    "the port of SSH": "https://example.com:22/",
    "the port of SMTP": "https://example.com:25/",
    "a fragment": "https://example.com/#here",
    "a space": "https://example.com/a b",
    "a line break": "https://example.com/\r\nHost: other",
    "a final line break": "https://example.com/\n",
    "letters beyond ASCII": "https://example.com/é",
    "empty labels": "https://example..com/",
    "a label that begins with a dash": "https://-a.example.com/",
    "too long": "https://example.com/" + "a" * 3000,
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED.keys())
def test_addresses_that_lead_inside_or_can_be_read_in_two_ways_are_refused(url: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        parse_destination(url, allowed_hosts=())
    assert refusal.value.details[0][0] == "url"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("https://例え.jp/", "This must be ASCII: write the host with xn--, and escape the rest with %."),
        ("https://example.com/" + "a" * MAX_WEBHOOK_URL, f"At most {MAX_WEBHOOK_URL} characters."),
    ],
)
def test_https_url_is_refused_for_what_is_wrong(url: str, sentence: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        parse_destination(url, allowed_hosts=())
    assert refusal.value.details == (("url", sentence),)


@pytest.mark.parametrize("port", sorted(BAD_PORTS))
def test_ports_of_other_services_are_refused(port: int) -> None:
    with pytest.raises(ValidationFailed):
        parse_destination(f"https://example.com:{port}/", allowed_hosts=())


def test_public_address_is_read_in_its_parts() -> None:
    found = parse_destination("HTTPS://Hooks.Example.com:8443/a/b?c=d", allowed_hosts=())
    assert (found.scheme, found.host, found.port, found.target) == (
        "https",
        "hooks.example.com",
        8443,
        "/a/b?c=d",
    )
    assert not found.trusted
    assert parse_destination("https://example.com?a", allowed_hosts=()).target == "/?a"
    assert parse_destination("https://xn--bcher-kva.example/", allowed_hosts=()).port == 443


def test_host_that_the_operator_names_is_used_over_http_and_at_any_address() -> None:
    allowed = {"127.0.0.1", "hooks", "::1"}
    for url, host, port in [
        ("http://127.0.0.1:9/x", "127.0.0.1", 9),
        ("https://hooks/", "hooks", 443),
        ("http://[::1]:8000/", "::1", 8000),
    ]:
        found = parse_destination(url, allowed_hosts=allowed)
        assert (found.host, found.port, found.trusted) == (host, port, True)
    for url in ("http://127.0.0.2/", "http://hooks.example.com/", "http://user@hooks/", "http://hooks:0/"):
        with pytest.raises(ValidationFailed):
            parse_destination(url, allowed_hosts=allowed)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_that_are_reachable_from_everywhere(address: str) -> None:
    assert is_global_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8"),
        *("192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
        # Anycast of AS112 and of multicast relays: the nearest one answers, which may be this network's own.
        *("192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1"),
        *("168.63.129.16", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *(
            "::",
            "::1",
            "fe80::1",
            "fe80::1%eth0",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
        ),
        *("100::1", "3fff::1", "5f00::1", "2001:10::1", "4000::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "::127.0.0.1", "::8.8.8.8"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "64:ff9b:1:a00::1"),
        *("2002:7f00:1::1", "2002:808:808::1", "2001:0:7f00:1::1", "2606:4700::5efe:10.0.0.1"),
        *("2606:4700::200:5efe:10.0.0.1", "2606:4700:4700::1111%eth0"),
        *("", "example.com", "8.8.8", "8.8.8.8:443"),
    ],
)
def test_addresses_that_are_not_also_inside_of_others(address: str) -> None:
    assert not is_global_address(address)
