"""Sends an email through an SMTP server."""

import asyncio
import logging
import re
import ssl
from collections.abc import Iterable
from contextlib import suppress
from email import message_from_bytes
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.policy import default as READER
from email.utils import localtime
from typing import Literal, Self

import aiosmtplib
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from engine.settings.settings import CommaSeparated, EnvSettings
from engine.text.locales import Translatable
from engine.toolkits.email.rows import Email
from engine.tools.services import ToolRefusal

logger = logging.getLogger(__name__)

# The format that browsers accept (HTML standard, 4.10.5.1.5). Quoting and comments are excluded,
# because they can hide parts of an address.
ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,62}"
)
QUIT_SECONDS = 2.0


class EmailSettings(EnvSettings):
    """`recipient_domains` must match exactly; without any, no email can be sent."""

    model_config = SettingsConfigDict(env_prefix="EMAIL_")

    host: str = ""
    port: int = Field(default=587, ge=1, le=65_535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr = SecretStr("")
    sender: str = ""
    recipient_domains: CommaSeparated[str] = ()
    timeout_seconds: float = Field(default=20, gt=0, le=60)
    per_day: int = Field(default=50, ge=0)

    @field_validator("recipient_domains")
    @classmethod
    def _lower(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(domain.lower() for domain in domains)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.username and self.security == "none":
            raise ValueError(
                "EMAIL_SECURITY=none would send EMAIL_PASSWORD unencrypted: "
                "set it to starttls or tls, or remove EMAIL_USERNAME"
            )
        if self.sender and not is_address(self.sender):
            raise ValueError("EMAIL_SENDER is not a plain address, such as chat@example.com")
        return self

    def problem(self, recipients: Iterable[str]) -> str | None:
        """The reason why no email can be sent to them, written for the user; None if it can."""
        if not self.host or not self.sender:
            return "This server has no mail server: EMAIL_HOST and EMAIL_SENDER are not set."
        if not self.recipient_domains:
            return "This server may send to nobody: EMAIL_RECIPIENT_DOMAINS is empty."
        for recipient in recipients:
            if recipient.rpartition("@")[2].lower() not in self.recipient_domains:
                return Translatable(
                    "This server may not send to this address: {address}", address=recipient
                )
        return None


class Mail:
    """Reads the settings when the application starts, so that invalid ones are reported then."""

    def __init__(self) -> None:
        self._settings = EmailSettings()

    async def start(self) -> None:
        """No connection is kept open, because mail servers close idle connections."""

    async def close(self) -> None: ...

    async def check(self) -> str:
        if problem := self._settings.problem([]):
            raise ToolRefusal(problem)
        client = _client(self._settings)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                await client.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise ToolRefusal(_explain(error, data_sent=False)) from error
        finally:
            client.close()
        return f"the mail server {self._settings.host} answers"


HEADERS = {
    *("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"),
    "Content-Transfer-Encoding",
}


class DeliveryFailed(Exception):
    """An email was not sent, or may not have been; the message says why, for the user."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


UNREACHABLE = "The mail server cannot be reached right now. Nothing was sent."
INSECURE = "There is no secure connection to the mail server. Nothing was sent."
WOULD_DIFFER = (
    "It would not arrive as it is shown here, so nothing was sent. Please have it drafted anew."
)
UNCERTAIN = (
    "The mail server did not confirm it, so it may have arrived. "
    "Better ask the recipient before you send it again."
)


async def deliver(settings: EmailSettings, email: Email) -> None:
    """Send the email to all of its recipients or to none. Raises `DeliveryFailed`.

    All checks that need no recipients are made before the first one is sent to the server.
    """
    message = compose_checked(settings, email)
    client = _client(settings)
    data_sent = False
    try:
        async with asyncio.timeout(settings.timeout_seconds):
            await client.connect()
            await client.mail(settings.sender, options=await _size(client, message))
            for recipient in email.recipients:
                await client.rcpt(recipient)
            data_sent = True
            await client.data(message)
    except (aiosmtplib.SMTPException, OSError) as error:
        logger.warning("an email was not sent: %s", type(error).__name__)
        client.close()
        raise DeliveryFailed(_explain(error, data_sent)) from error
    except BaseException:
        client.close()
        raise
    with suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=QUIT_SECONDS)


def compose_checked(settings: EmailSettings, email: Email) -> bytes:
    """The message, parsed again to verify that it arrives exactly as the card shows it.

    Raises `DeliveryFailed` if it would not.
    """
    try:
        message = compose(settings, email).as_bytes()
        read = message_from_bytes(message, policy=READER)
        recipients = [address.addr_spec for address in read["To"].addresses]
        shown = (email.recipients, email.subject, split_lines(email.body))
        arrives = (recipients, read["Subject"], split_lines(read.get_content()))
        same_headers = set(read.keys()) <= HEADERS and not read.defects
    except (ValueError, LookupError, AttributeError, MessageError):
        raise DeliveryFailed(WOULD_DIFFER) from None
    if arrives != shown or not same_headers or has_encoded_word(email):
        raise DeliveryFailed(WOULD_DIFFER)
    return message


def has_encoded_word(email: Email) -> bool:
    """Mail programs decode =?utf-8?…?= (RFC 2047), which could add hidden lines."""
    return any("=?" in text for text in (email.subject, *email.recipients))


def split_lines(text: str) -> list[str]:
    """The lines as the card shows them, without empty lines at the end."""
    return text.rstrip().splitlines()


async def _size(client: aiosmtplib.SMTP, message: bytes) -> list[str]:
    """The SIZE option, with which a server can refuse a large message before its recipients."""
    if client.is_ehlo_or_helo_needed:
        with suppress(aiosmtplib.SMTPHeloError):
            await client.ehlo()
    return [f"SIZE={len(message)}"] if client.supports_extension("size") else []


def compose(settings: EmailSettings, email: Email) -> EmailMessage:
    """The message to send. A second attempt has the same Message-ID, so duplicates are detected."""
    message = EmailMessage(policy=WIRE.clone(cte_type="7bit"))
    message["From"] = settings.sender
    message["To"] = ", ".join(email.recipients)
    message["Subject"] = email.subject
    message["Date"] = localtime()
    message["Message-ID"] = f"<{email.item_id}@{settings.sender.rpartition('@')[2]}>"
    message.set_content(email.body)
    return message


def is_address(text: str) -> bool:
    """True for a plain address; false for one with an encoded word (see `has_encoded_word`)."""
    hides = ".." in text or "=?" in text
    return len(text) <= 254 and ADDRESS.fullmatch(text) is not None and not hides


def _client(settings: EmailSettings) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.security == "tls",
        start_tls=settings.security == "starttls",
        username=settings.username or None,
        password=settings.password.get_secret_value() or None,
        timeout=settings.timeout_seconds,
    )


def _explain(error: Exception, data_sent: bool) -> str:
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return "The mail server refused this server's credentials. Please tell its operator."
        case aiosmtplib.SMTPRecipientRefused(recipient=recipient, code=code):
            return Translatable(
                "The mail server refused a recipient ({code}). Nothing was sent to: {address}",
                code=code,
                address=recipient,
            )
        case aiosmtplib.SMTPConnectError():
            return INSECURE if isinstance(error.__cause__, ssl.SSLError) else UNREACHABLE
        case aiosmtplib.SMTPResponseException(code=code):
            return Translatable(
                "The mail server refused the email ({code}). Nothing was sent.", code=code
            )
        case _ if data_sent:
            return UNCERTAIN
        case ssl.SSLError():
            return INSECURE
        # aiosmtplib raises the base class if the server does not offer STARTTLS.
        case aiosmtplib.SMTPException() if type(error) is aiosmtplib.SMTPException:
            return INSECURE
    return UNREACHABLE
