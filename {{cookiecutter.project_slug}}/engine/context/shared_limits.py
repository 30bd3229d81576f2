"""Limits that users share, where a new one costs nothing: see `SharedLimits`."""

from typing import Any, Protocol

from sqlalchemy import ColumnElement, FromClause, Row, Update


class SharedLimits(Protocol):
    """How much may come from one network address, and from all visitors, on all workers together.

    `address` is how an auth style calls the address that a request came from (`User.address`).
    """

    def take(
        self, seen: FromClause, conditions: list[ColumnElement[bool]]
    ) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """For the statement that begins a run: whether it may, and whether a place among those of
        the address was taken, which is tried when the conditions hold. Its parameter is `address`.
        """
        ...

    def columns(self) -> list[ColumnElement[Any]]:
        """What `refuse` reads from that statement's row."""
        ...

    def refuse(self, row: Row[Any]) -> None:
        """Raise the `LimitReached` that the row gives a reason for, if it does."""
        ...

    def give_back(self, end: Update, address: str, run: ColumnElement[bool], tokens: int) -> Update:
        """The statement that ends a run gives its place back, and counts its tokens, if the run
        is there.
        """
        ...

    async def give_back_unused(self, address: str) -> None:
        """The place was taken, and the run did not begin."""
        ...

    async def take_file(self, address: str, size: int) -> None:
        """Count a file of so many bytes, or raise `LimitReached`."""
        ...
