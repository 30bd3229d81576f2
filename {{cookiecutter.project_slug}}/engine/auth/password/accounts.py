"""Accounts: what may be a name and a password, and who is let in."""

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
from engine.auth.sessions.forms import SITE
from engine.auth.sessions.rows import Session
from engine.auth.sessions.sessions import Ticket
from engine.database.database import Database
from engine.http.errors import AppError, InvalidRequest, LimitReached
from engine.settings.settings import EnvSettings

NAME_LENGTH = range(3, 255)
PASSWORD_LENGTH = range(8, 257)
WEAKEST = 2  # of zxcvbn's scores, 0 to 4: a million guesses do not find it
LONGEST_GUESSED = 72  # what follows makes nothing weaker, and takes its time

WINDOW = timedelta(minutes=15)
SWEEP_SECONDS = 3600
# Each takes 64 MiB and some CPU for a while; the others wait.
HASHES_AT_ONCE = 2

_NAME = re.compile(r"[\w.@+-]+")


class AccountSettings(EnvSettings):
    """The limits are in a quarter of an hour."""

    sign_up: Literal["open", "closed"] = "open"
    sign_ins_per_account: int = Field(default=10, ge=1)
    sign_ins_per_address: int = Field(default=50, ge=1)


class WrongCredentials(AppError):
    """One answer for an unknown name and for a wrong password. The log gets the id of an account
    that is there; another name may be a password in the wrong field.
    """

    status = 401
    code = "wrong_credentials"

    def __init__(self, message: str, user_id: str | None = None) -> None:
        super().__init__(message)
        self.user_id = user_id


class AccountDisabled(AppError):
    """Only said to who knows the password."""

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


class Accounts:
    def __init__(self, database: Database, settings: AccountSettings | None = None) -> None:
        settings = settings or AccountSettings()
        self.is_open = settings.sign_up == "open"
        self._per_account = settings.sign_ins_per_account
        self._per_address = settings.sign_ins_per_address
        self._store = AccountStore(database)
        self._attempts = AttemptStore(database)
        self._hasher = Hasher()
        self._swept_at = -math.inf

    async def sign_up(self, name: str, password: str, address: str) -> Ticket:
        """Make an account and begin its first session. `address` is what `Addresses` makes of it."""
        if not self.is_open:
            raise SignUpClosed("New accounts are made by whoever runs this site.")
        name = checked_name(name)
        check_password(password, name)
        await self._take(address, self._per_address)
        ticket = Ticket.new(user_id_of(name))
        session = Session(ticket.user_id, ticket.session_id, name)
        if not await self._store.add(name, await self._hasher.hash(password), session):
            raise NameTaken("This name is taken.")
        return ticket

    async def sign_in(self, name: str, password: str, address: str) -> Ticket:
        """Begin a session. Names that are not there cost as much time as those that are."""
        user_id = user_id_of(normal_name(name))
        await self._take(address, self._per_address)
        await self._take(user_id, self._per_account)
        account = await self._store.find(user_id)
        stored = account.password_hash if account else None
        is_right, rehashed = await self._hasher.verify(password, stored)
        if account is None or not is_right:
            found = user_id if account else None
            raise WrongCredentials("The name or the password is wrong.", found)
        if account.disabled_at is not None:
            raise AccountDisabled("This account is disabled. Please ask whoever runs this site.")
        ticket = Ticket.new(user_id)
        session = Session(user_id, ticket.session_id, account.name)
        if not await self._store.sign_in(account, session):
            raise WrongCredentials("The account has just changed. Please try again.")
        await self._attempts.forget(user_id)
        await self._attempts.give_back(address, WINDOW / self._per_address)
        if rehashed is not None:
            await self._store.rehash(account, rehashed)
        return ticket

    async def change_password(self, user_id: str, current: str, new: str) -> Ticket:
        """Replace the password. All sessions end but the one of the ticket, which begins."""
        await self._take(user_id, self._per_account)
        account = await self._store.find(user_id)
        stored = account.password_hash if account else None
        is_right, _ = await self._hasher.verify(current, stored)
        if account is None or not is_right:
            raise WrongCredentials("The current password is wrong.", user_id)
        check_password(new, account.name)
        ticket = Ticket.new(user_id)
        session = Session(user_id, ticket.session_id, account.name)
        hashed = await self._hasher.hash(new)
        if not await self._store.change_password(account, hashed, session):
            raise WrongCredentials("The account has just changed. Please try again.")
        await self._attempts.forget(user_id)
        return ticket

    async def _take(self, whose: str, burst: int) -> None:
        await self._sweep()
        wait = await self._attempts.take(whose, burst, WINDOW / burst)
        if wait is not None:
            raise TooManySignIns(
                "Too many attempts. Please wait a little.", retry_after=wait.total_seconds()
            )

    async def _sweep(self) -> None:
        """Names that were only guessed leave rows that nobody would come back to."""
        if time.monotonic() - self._swept_at > SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            await self._attempts.sweep()


class Hasher:
    """argon2, beside the event loop."""

    def __init__(self) -> None:
        self._hash = PasswordHash.recommended()
        self._room = asyncio.Semaphore(HASHES_AT_ONCE)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        async with self._room:
            return await asyncio.to_thread(self._hash.hash, normal(password))

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether it is the stored one, and its new hash if that is out of date.

        Nothing stored is like a password that nobody knows, and takes as long.
        """
        if self._decoy is None:
            self._decoy = await self.hash(secrets.token_urlsafe())
        async with self._room:
            return await asyncio.to_thread(
                self._hash.verify_and_update, normal(password), stored or self._decoy
            )


def normal(text: str) -> str:
    """One form for what keyboards and systems write differently (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", text)


def normal_name(name: str) -> str:
    """One spelling of a name: capitals and compatible characters make no other account."""
    return normal(normal(name).casefold()).strip()


def checked_name(name: str) -> str:
    """The name as it is kept. Raises InvalidRequest."""
    name = normal_name(name)
    if len(name) not in NAME_LENGTH or not _NAME.fullmatch(name) or not any(map(str.isalnum, name)):
        raise InvalidRequest(
            f"A name has {NAME_LENGTH[0]} to {NAME_LENGTH[-1]} letters, digits or . _ - + @ "
            "characters; an e-mail address will do."
        )
    return name


def check_password(password: str, name: str) -> None:
    """Raises InvalidRequest. Length is what counts (NIST SP 800-63B): no rules of composition."""
    password = normal(password)
    if len(password) not in PASSWORD_LENGTH:
        raise InvalidRequest(
            f"A password has {PASSWORD_LENGTH[0]} to {PASSWORD_LENGTH[-1]} characters. "
            "A few words in a row are good ones."
        )
    if _is_guessed_soon(password.casefold(), name):
        raise InvalidRequest("This password is among the first that anybody would guess.")


def _is_guessed_soon(password: str, name: str) -> bool:
    """By lists of what people choose and by words, dates, patterns, the account's and the site's
    name, also several after one another.
    """
    # (Its lists take a while to read, and only who chooses a password needs them.)
    from zxcvbn import zxcvbn

    known = [name, name.partition("@")[0], SITE, "".join(SITE.split()), *SITE.split()]
    strength = zxcvbn(password[:LONGEST_GUESSED], user_inputs=[text.casefold() for text in known])
    return bool(strength["score"] < WEAKEST)
