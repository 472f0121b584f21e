"""A small SMTP server on 127.0.0.1 that keeps what it gets, and can be told to misbehave."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Received:
    """One message as it came over the wire."""

    sender: str
    recipients: list[str]
    content: bytes
    encrypted: bool
    username: str | None

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class SmtpServer:
    """
    Attributes:
        offers_starttls: Whether STARTTLS is offered; False plays an old or a tampered-with server.
        password: What AUTH PLAIN must bring; None offers no AUTH.
        answer_to_sender: Said to ``MAIL FROM``.
        answer_to_recipient: Said to ``RCPT TO``.
        answer_to_data: Said after the message; ``{content}`` in it is the message, as some filters quote it.
        pause: Waited before every answer.
    """

    offers_starttls: bool = True
    password: str | None = None
    answer_to_sender: str = "250 OK"
    answer_to_recipient: str = "250 OK"
    answer_to_data: str = "250 OK"
    pause: float = 0
    port: int = 0
    received: list[Received] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def serve(self, *, tls: ssl.SSLContext, implicit: bool = False) -> AsyncIterator[SmtpServer]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await _Conversation(self, reader, writer, tls, encrypted=implicit).run()
            except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                pass
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls if implicit else None)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


class _Conversation:
    def __init__(
        self,
        server: SmtpServer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: ssl.SSLContext,
        *,
        encrypted: bool,
    ) -> None:
        self.server, self.reader, self.writer, self.tls, self.encrypted = (
            server,
            reader,
            writer,
            tls,
            encrypted,
        )
        self.username: str | None = None
        self.sender = ""
        self.recipients: list[str] = []
        self.verbs: dict[str, Callable[[str], Awaitable[None]]] = {
            "EHLO": self.ehlo,
            "STARTTLS": self.starttls,
            "AUTH": self.auth,
            "MAIL": self.mail,
            "RCPT": self.rcpt,
            "DATA": self.data,
        }

    async def run(self) -> None:
        await self.say("220 test ESMTP")
        while line := (await self.reader.readline()).decode().rstrip("\r\n"):
            self.server.commands.append(line)
            verb = line.split(" ")[0].upper()
            if verb == "QUIT":
                await self.say("221 bye")
                return
            await self.verbs.get(verb, self.unknown)(line)

    async def say(self, *lines: str) -> None:
        await asyncio.sleep(self.server.pause)
        for number, line in enumerate(lines, start=1):
            joint = " " if number == len(lines) else "-"
            self.writer.write(f"{line[:3]}{joint}{line[4:]}\r\n".encode())
        await self.writer.drain()

    async def unknown(self, line: str) -> None:
        await self.say("500 what?")

    async def ehlo(self, line: str) -> None:
        extensions = ["250 test", "250 8BITMIME", "250 SMTPUTF8"]
        if self.server.offers_starttls and not self.encrypted:
            extensions.append("250 STARTTLS")
        if self.server.password is not None:
            extensions.append("250 AUTH PLAIN")
        await self.say(*extensions)

    async def starttls(self, line: str) -> None:
        await self.say("220 go on")
        await self.writer.start_tls(self.tls)
        self.encrypted = True

    async def auth(self, line: str) -> None:
        _, username, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
        if password != self.server.password:
            await self.say("535 wrong")
            return
        self.username = username
        await self.say("235 welcome")

    async def mail(self, line: str) -> None:
        self.sender = line.partition("<")[2].partition(">")[0]
        await self.say(self.server.answer_to_sender)

    async def rcpt(self, line: str) -> None:
        self.recipients.append(line.partition("<")[2].partition(">")[0])
        await self.say(self.server.answer_to_recipient)

    async def data(self, line: str) -> None:
        await self.say("354 go on")
        content = (
            (await self.reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        )
        if self.server.answer_to_data.startswith("250"):
            self.server.received.append(
                Received(self.sender, self.recipients, content, self.encrypted, self.username)
            )
        parsed = message_from_bytes(content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        text = parsed.get_body(("plain",))
        assert text is not None
        quoted = text.get_payload(decode=True)
        assert isinstance(quoted, bytes)
        await self.say(self.server.answer_to_data.format(content=quoted.decode().replace("\n", " ")))


def tls_pair(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a certificate for 127.0.0.1: a context for the server, and one for a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    written = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(private + written)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=written.decode())
