"""A local mail server for tests, which can return errors."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

PASSWORD = "a password of the tests"  # noqa: S105


@dataclass
class MailServer:
    """`delivered` holds the received messages. `rcpt` and `data` hold the responses to the next
    recipients and messages. Each recipient takes `rcpt_seconds`.
    """

    port: int = 0
    delivered: list[tuple[Envelope, EmailMessage]] = field(default_factory=list)
    rcpt: dict[str, str] = field(default_factory=dict)
    rcpt_seconds: float = 0
    data: str = "250 OK"
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    hangs_up: bool = False

    def __post_init__(self) -> None:
        self.release.set()

    # The names are aiosmtpd's.
    async def handle_RCPT(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        await asyncio.sleep(self.rcpt_seconds)
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.asked.set()
        await self.release.wait()
        if self.data.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            parsed = message_from_bytes(content, policy=policy.default)
            assert isinstance(parsed, EmailMessage)
            self.delivered.append((envelope, parsed))
        if self.hangs_up:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return self.data


def authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=is_right, handled=False)


@asynccontextmanager
async def mail_server(
    authority: trustme.CA, *, starttls: bool = True, tls: bool = False
) -> AsyncIterator[MailServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = MailServer()

    def session() -> SMTP:
        return SMTP(
            server,
            hostname="mail.test",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=authenticate,
            auth_require_tls=not tls,
        )

    listening = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", 0, ssl=context if tls else None
    )
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()


def trust(authority: trustme.CA, folder: Path) -> str:
    """A file with the authority's certificate, for SSL_CERT_FILE."""
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)
