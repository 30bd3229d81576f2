"""Accounts: rules for names and passwords, sign-up, sign-in and change of password."""

import asyncio
import math
import re
import secrets
import time
import unicodedata
from datetime import timedelta
from typing import Literal

from pwdlib import PasswordHash
from pydantic import Field

from engine.auth.password.rows import AccountStore, AttemptStore, user_id_of
from engine.auth.sessions.rows import Session
from engine.auth.sessions.sessions import Ticket
from engine.database.database import Database
from engine.http.errors import AppError, InvalidRequest, LimitReached
from engine.settings.settings import EnvSettings
from engine.text.locales import Translatable

NAME_LENGTH = range(3, 255)
PASSWORD_LENGTH = range(8, 257)
MIN_STRENGTH = 2  # zxcvbn's score from 0 to 4; 2 withstands a million guesses
MAX_RATED_CHARS = 72  # zxcvbn is slow, and further characters do not make a password weaker

WINDOW = timedelta(minutes=15)
SWEEP_SECONDS = 3600
# Each hash takes 64 MiB and CPU time; further ones wait.
MAX_CONCURRENT_HASHES = 2

_NAME = re.compile(r"[\w.@+-]+")


class AccountSettings(EnvSettings):
    """The limits are per quarter of an hour (`WINDOW`)."""

    sign_up: Literal["open", "closed"] = "closed"
    sign_ins_per_account: int = Field(default=10, ge=1)
    sign_ins_per_address: int = Field(default=50, ge=1)


class WrongCredentials(AppError):
    """The same error for an unknown name and a wrong password.

    `user_id` is for the log and only set for an existing account: an unknown name may be a password
    typed into the wrong field.
    """

    status = 401
    code = "wrong_credentials"

    def __init__(self, message: str, user_id: str | None = None) -> None:
        super().__init__(message)
        self.user_id = user_id


class InvalidName(InvalidRequest):
    pass


class InvalidPassword(InvalidRequest):
    pass


class AccountDisabled(AppError):
    """Only raised after the correct password."""

    status = 403
    code = "account_disabled"


class SignUpClosed(AppError):
    status = 403
    code = "sign_up_closed"


class NameTaken(AppError):
    status = 409
    code = "name_taken"


class TooManySignIns(LimitReached):
    code = "too_many_sign_ins"


# The fields of the forms that an error is about.
FIELDS: dict[type[AppError], frozenset[str]] = {
    WrongCredentials: frozenset({"name", "password"}),
    NameTaken: frozenset({"name"}),
    InvalidName: frozenset({"name"}),
    InvalidPassword: frozenset({"new_password"}),
}


def invalid_fields(refusal: AppError | None) -> frozenset[str]:
    """The fields that have to be changed; none if the error is about something else."""
    return frozenset() if refusal is None else FIELDS.get(type(refusal), frozenset())


class Accounts:
    def __init__(
        self, database: Database, settings: AccountSettings | None = None, site: str = ""
    ) -> None:
        settings = settings or AccountSettings()
        self._site = site
        self.is_open = settings.sign_up == "open"
        self._per_account = settings.sign_ins_per_account
        self._per_address = settings.sign_ins_per_address
        self._store = AccountStore(database)
        self._attempts = AttemptStore(database)
        self._hasher = Hasher()
        self._swept_at = -math.inf

    async def sign_up(self, name: str, password: str, address: str) -> Ticket:
        """Create an account and begin its first session. `address` is a hash from `Addresses`."""
        if not self.is_open:
            raise SignUpClosed("New accounts are made by whoever runs this site.")
        name = valid_name(name)
        check_password(password, name, self._site)
        await self._take(address, self._per_address)
        ticket = Ticket.new(user_id_of(name))
        session = Session(ticket.user_id, ticket.session_id, name)
        if not await self._store.add(name, await self._hasher.hash(password), session):
            raise NameTaken("This name is taken.")
        return ticket

    async def sign_in(self, name: str, password: str, address: str) -> Ticket:
        """Begin a session. Unknown names take as long as existing ones."""
        user_id = user_id_of(normalized_name(name))
        await self._take(address, self._per_address)
        await self._take(user_id, self._per_account)
        account = await self._store.find(user_id)
        stored = account.password_hash if account else None
        is_correct, rehashed = await self._hasher.verify(password, stored)
        if account is None or not is_correct:
            found = user_id if account else None
            raise WrongCredentials("The name or the password is wrong.", found)
        if account.disabled_at is not None:
            raise AccountDisabled("This account is disabled. Please ask whoever runs this site.")
        ticket = Ticket.new(user_id)
        session = Session(user_id, ticket.session_id, account.name)
        if not await self._store.sign_in(account, session):
            raise WrongCredentials("The account has just changed. Please try again.")
        await self._attempts.forget(user_id)
        await self._attempts.refund(address, WINDOW / self._per_address)
        if rehashed is not None:
            await self._store.rehash(account, rehashed)
        return ticket

    async def change_password(self, user_id: str, current: str, new: str) -> Ticket:
        """Replace the password. All sessions end, and the one of the returned ticket begins."""
        await self._take(user_id, self._per_account)
        account = await self._store.find(user_id)
        stored = account.password_hash if account else None
        is_correct, _ = await self._hasher.verify(current, stored)
        if account is None or not is_correct:
            raise WrongCredentials("The current password is wrong.", user_id)
        check_password(new, account.name, self._site)
        ticket = Ticket.new(user_id)
        session = Session(user_id, ticket.session_id, account.name)
        hashed = await self._hasher.hash(new)
        if not await self._store.change_password(account, hashed, session):
            raise WrongCredentials("The account has just changed. Please try again.")
        await self._attempts.forget(user_id)
        return ticket

    async def check_password(self, user_id: str, password: str) -> None:
        """Raises `WrongCredentials` unless it is the account's."""
        await self._take(user_id, self._per_account)
        account = await self._store.find(user_id)
        stored = account.password_hash if account else None
        is_correct, _ = await self._hasher.verify(password, stored)
        if not is_correct:
            raise WrongCredentials("The current password is wrong.", user_id)
        await self._attempts.forget(user_id)

    async def _take(self, user_or_address: str, burst: int) -> None:
        await self._sweep()
        wait = await self._attempts.take(user_or_address, burst, WINDOW / burst)
        if wait is not None:
            raise TooManySignIns(
                "Too many attempts. Please wait a little.", retry_after=wait.total_seconds()
            )

    async def _sweep(self) -> None:
        """Delete the rows of old attempts, also those for names that do not exist."""
        if time.monotonic() - self._swept_at > SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            await self._attempts.sweep()


class Hasher:
    """Hashes passwords with argon2 in threads, so that the event loop is not blocked."""

    def __init__(self) -> None:
        self._hash = PasswordHash.recommended()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_HASHES)
        self._dummy_hash: str | None = None

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hash.hash, normalized(password))

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """True if the password matches the hash `stored`, and a new hash if that is outdated.

        Without a stored hash the result is false and takes as long.
        """
        if self._dummy_hash is None:
            self._dummy_hash = await self.hash(secrets.token_urlsafe())
        async with self._slots:
            return await asyncio.to_thread(
                self._hash.verify_and_update, normalized(password), stored or self._dummy_hash
            )


def normalized(text: str) -> str:
    """The text in Unicode form NFKC, as keyboards and systems differ (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", text)


def normalized_name(name: str) -> str:
    """The canonical spelling of a name, without capitals and compatibility characters."""
    return normalized(normalized(name).casefold()).strip()


def valid_name(name: str) -> str:
    """The name in its canonical spelling. Raises `InvalidName`."""
    name = normalized_name(name)
    if len(name) not in NAME_LENGTH or not _NAME.fullmatch(name) or not any(map(str.isalnum, name)):
        raise InvalidName(
            Translatable(
                "A name has {least} to {most} letters, digits or . _ - + @ characters; "
                "an e-mail address will do.",
                least=NAME_LENGTH[0],
                most=NAME_LENGTH[-1],
            )
        )
    return name


def check_password(password: str, name: str, site: str = "") -> None:
    """Raises `InvalidPassword` if the password is too short, too long or easy to guess.

    There are no rules about the kinds of characters (NIST SP 800-63B).
    """
    password = normalized(password)
    if len(password) not in PASSWORD_LENGTH:
        raise InvalidPassword(
            Translatable(
                "A password has {least} to {most} characters. A few words in a row are good ones.",
                least=PASSWORD_LENGTH[0],
                most=PASSWORD_LENGTH[-1],
            )
        )
    if _is_weak(password.casefold(), name, site):
        raise InvalidPassword("This password is among the first that anybody would guess.")


def _is_weak(password: str, name: str, site: str) -> bool:
    """True for common passwords, words, dates, patterns and the names of the account and the site,
    also in combination.
    """
    # Imported here because its word lists take long to load and are only needed for new passwords.
    from zxcvbn import zxcvbn

    known = [name, name.partition("@")[0], site, "".join(site.split()), *site.split()]
    strength = zxcvbn(password[:MAX_RATED_CHARS], user_inputs=[text.casefold() for text in known])
    return bool(strength["score"] < MIN_STRENGTH)
