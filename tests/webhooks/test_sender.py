"""One request to an endpoint: the checked address is connected to, and nothing of the other side is without an end."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from czo_auth.core.flows.webhooks.deliver import AttemptFailed
from czo_auth.core.webhooks.destination import Destination, parse_destination
from czo_auth.core.webhooks.webhook import WebhookPolicy
from czo_auth.delivery.webhooks import HttpWebhookSender
from tests.support.receiver import Answer, Flood, Receiver, Request, drip, drop, hang, ok, status

LIMIT = timedelta(seconds=0.5)
LONG = timedelta(seconds=30)


def to(receiver: Receiver) -> Destination:
    return parse_destination(receiver.url, allowed_hosts={"127.0.0.1"})


async def send(sender: HttpWebhookSender, destination: Destination) -> int:
    try:
        return await sender.send(destination, headers={"webhook-id": "1"}, body=b'{"a":1}')
    finally:
        await sender.close()


async def test_request_arrives_as_it_is_meant() -> None:
    async with Receiver() as receiver:
        assert await send(HttpWebhookSender(time_limit=LONG), to(receiver)) == 200
    (request,) = receiver.requests
    assert request.line == "POST /hook HTTP/1.1"
    assert request.body == b'{"a":1}'
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["user-agent"].startswith("czo-auth/")


@pytest.mark.parametrize("answer", [hang, drip])
async def test_receiver_that_does_not_come_to_an_end_is_given_up_in_time(answer: object) -> None:
    async with Receiver(answer=answer) as receiver:  # type: ignore[arg-type]
        began = monotonic()
        with pytest.raises(AttemptFailed, match=r"no answer within 0\.5 s"):
            await send(HttpWebhookSender(time_limit=LIMIT), to(receiver))
        assert monotonic() - began < 10


async def test_slow_answer_within_the_limit_counts() -> None:
    async def slow(request: object, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with Receiver(answer=slow) as receiver:
        assert await send(HttpWebhookSender(time_limit=LONG), to(receiver)) == 204


async def test_gigabyte_is_not_read() -> None:
    flood = Flood()
    async with Receiver(answer=flood) as receiver:
        assert await send(HttpWebhookSender(time_limit=LONG), to(receiver)) == 200
    # What the two systems buffer between them, and no more.
    assert flood.sent < 64 << 20


async def test_headers_without_an_end_are_not_read() -> None:
    async def endless(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x-more: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    async with Receiver(answer=endless) as receiver:
        with pytest.raises(AttemptFailed):
            await send(HttpWebhookSender(time_limit=LONG), to(receiver))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_early_answers_without_an_end_are_not_read(tmp_path: Path, scheme: str) -> None:
    async def early(request: object, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
            await writer.drain()

    serving, trusting = certificates(tmp_path, "hooks.example.com")
    async with Receiver(answer=early, ssl_context=serving if scheme == "https" else None) as receiver:
        url = f"{scheme}://hooks.example.com:{receiver.port}/hook"
        sender = HttpWebhookSender(
            time_limit=timedelta(seconds=5), resolve=Names(["127.0.0.1"]), ssl_context=trusting
        )
        # Given up for its length, long before the time is over.
        with pytest.raises(AttemptFailed, match="the connection failed"):
            await send(sender, parse_destination(url, allowed_hosts={"hooks.example.com"}))


@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_redirect_is_a_failure_and_not_followed(code: int) -> None:
    async with Receiver() as elsewhere:
        async with Receiver(answer=status(code, f"location: {elsewhere.url}")) as receiver:
            with pytest.raises(AttemptFailed) as failure:
                await send(HttpWebhookSender(time_limit=LONG), to(receiver))
        assert failure.value.status == code
        assert elsewhere.requests == []


@pytest.mark.parametrize("code", [400, 401, 404, 410, 429, 500, 503])
async def test_other_answers_are_failures_with_their_status(code: int) -> None:
    async with Receiver(answer=status(code)) as receiver:
        with pytest.raises(AttemptFailed) as failure:
            await send(HttpWebhookSender(time_limit=LONG), to(receiver))
    assert failure.value.status == code


async def test_closed_socket_and_closed_port_are_failures() -> None:
    async with Receiver(answer=drop) as receiver:
        with pytest.raises(AttemptFailed, match="the connection failed"):
            await send(HttpWebhookSender(time_limit=LONG), to(receiver))
    with pytest.raises(AttemptFailed, match="no connection"):
        await send(HttpWebhookSender(time_limit=LONG), to(receiver))


async def test_answer_that_is_no_http_is_a_failure() -> None:
    async def other(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")

    async with Receiver(answer=other) as receiver:
        with pytest.raises(AttemptFailed):
            await send(HttpWebhookSender(time_limit=LONG), to(receiver))


async def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as proxy, Receiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await send(HttpWebhookSender(time_limit=LONG), to(receiver)) == 200
    assert proxy.requests == []


# --- names -----------------------------------------------------------------------------------------------------------
HOOK = "https://hooks.example.com:8443/hook"


def is_this_machine(address: str) -> bool:
    """Allow what a test can listen on, and nothing else."""
    return address == "127.0.0.1"


class Names:
    """A resolver whose answers change, as those of an attacker's name server do."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1%lo"],
)
async def test_name_that_leads_inside_is_not_connected_to(address: str) -> None:
    sender = HttpWebhookSender(time_limit=LONG, resolve=Names([address]))
    with pytest.raises(AttemptFailed, match="reachable from everywhere"):
        await send(sender, parse_destination(HOOK, allowed_hosts=()))


async def test_address_that_was_checked_is_the_one_that_is_connected_to(
    tmp_path: Path,
) -> None:
    """The name is resolved once; a second answer, which leads elsewhere, is never asked for."""
    serving, trusting = certificates(tmp_path, "hooks.example.com")
    async with Receiver(ssl_context=serving) as receiver:
        names = Names(["10.9.9.9", "127.0.0.1"], ["10.9.9.9"])
        sender = HttpWebhookSender(
            time_limit=LONG, resolve=names, is_allowed=is_this_machine, ssl_context=trusting
        )
        url = f"https://hooks.example.com:{receiver.port}/hook"
        assert await send(sender, parse_destination(url, allowed_hosts=())) == 200
    # With a final dot, so that no domain of this machine is tried.
    assert names.asked == ["hooks.example.com."]
    assert receiver.requests[0].headers["host"] == f"hooks.example.com:{receiver.port}"


@pytest.mark.parametrize("addresses", [["127.0.0.1", "127.0.0.3"], ["127.0.0.3", "127.0.0.1"]])
async def test_address_that_takes_no_connection_is_passed_over(addresses: list[str]) -> None:
    async with Receiver() as receiver:
        destination = parse_destination(f"http://hooks:{receiver.port}/", allowed_hosts={"hooks"})
        assert await send(HttpWebhookSender(time_limit=LONG, resolve=Names(addresses)), destination) == 200


async def test_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    serving, trusting = certificates(tmp_path, "other.example.com")
    async with Receiver(ssl_context=serving) as receiver:
        names = Names(["127.0.0.1"])
        sender = HttpWebhookSender(
            time_limit=LONG, resolve=names, is_allowed=is_this_machine, ssl_context=trusting
        )
        url = f"https://hooks.example.com:{receiver.port}/hook"
        with pytest.raises(AttemptFailed):
            await send(sender, parse_destination(url, allowed_hosts=()))
    assert receiver.requests == []


async def test_name_is_checked_again_at_each_connection() -> None:
    names = Names(["127.0.0.1"], ["::1"])
    sender = HttpWebhookSender(time_limit=LONG, resolve=names)
    for _ in range(2):
        with pytest.raises(AttemptFailed, match="reachable from everywhere"):
            await sender.send(parse_destination(HOOK, allowed_hosts=()), headers={}, body=b"")
    assert len(names.asked) == 2
    await sender.close()


async def test_name_that_is_not_known_is_a_failure_that_says_so() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    sender = HttpWebhookSender(time_limit=LONG, resolve=unknown)
    with pytest.raises(AttemptFailed, match="the name is not known"):
        await send(sender, parse_destination(HOOK, allowed_hosts=()))


async def test_name_server_that_never_answers_ends_with_the_time_limit() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(3600)
        return []

    sender = HttpWebhookSender(time_limit=LIMIT, resolve=never)
    with pytest.raises(AttemptFailed, match="no answer within"):
        await send(sender, parse_destination(HOOK, allowed_hosts=()))


def certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a certificate for *name*; gives a context that serves with it, and one that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return serving, ssl.create_default_context(cafile=str(folder / "cert.pem"))


@pytest.mark.deep
async def test_answer_after_nine_seconds_counts_and_one_after_eleven_does_not() -> None:
    """With the limit that deployments have."""

    def after(seconds: float) -> Answer:
        async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(seconds)
            await ok(request, writer)

        return answer

    limit = WebhookPolicy().time_limit
    async with Receiver(answer=after(9)) as patient, Receiver(answer=after(11)) as late:
        counted, failed = await asyncio.gather(
            send(HttpWebhookSender(time_limit=limit), to(patient)),
            send(HttpWebhookSender(time_limit=limit), to(late)),
            return_exceptions=True,
        )
    assert counted == 200
    assert isinstance(failed, AttemptFailed)
    assert failed.reason == "no answer within 10 s"
