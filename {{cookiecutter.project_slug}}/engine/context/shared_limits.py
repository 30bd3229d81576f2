"""Limits that several users share, for styles where anybody can become a new user at any time."""

from typing import Any, Protocol

from sqlalchemy import ColumnElement, FromClause, Row, Update


class SharedLimits(Protocol):
    """Limits per network address and for all visitors together, counted across all workers.

    `address` is the network address of a request as the auth style names it (`User.address`).
    """

    def take(
        self, seen: FromClause, conditions: list[ColumnElement[bool]]
    ) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """Two conditions for the statement that begins a run: the run is allowed, and the address
        was charged for it, which is tried when `conditions` hold. The parameter is `address`.
        """
        ...

    def columns(self) -> list[ColumnElement[Any]]:
        """The columns of that statement that `refuse` reads."""
        ...

    def refuse(self, row: Row[Any]) -> None:
        """Raise `LimitReached` if the row shows that a limit is reached."""
        ...

    def release(self, end: Update, address: str, run: ColumnElement[bool], tokens: int) -> Update:
        """The statement `end`, which ends a run, extended: if `run` holds, it also frees the
        run's place and counts its tokens.
        """
        ...

    async def release_unused(self, address: str) -> None:
        """Free the place of a run that was charged and did not begin."""
        ...

    async def take_file(self, address: str, size: int) -> None:
        """Count a file of `size` bytes. Raises `LimitReached`."""
        ...
