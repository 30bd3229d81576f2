"""About how many tokens a run spent, from the items that are stored: its worker died.

Pictures, instructions and the descriptions of tools are not among the items, and are not counted.
"""

from dataclasses import dataclass
from functools import reduce
from operator import add

from sqlalchemy import ColumnElement, Text, cast, func, not_, select
from sqlalchemy.dialects.postgresql import JSONPATH

from engine.database.rows import ItemRow
from engine.text.tokens import BYTES_PER_TOKEN

# More items than these are hardly part of one question.
MAX_ITEMS = 100

_UNTOLD = ("workflow", "task", "end_of_turn")
_TOLD = ("content", "quoted_text", "copy_text", "arguments", "output", "inputs")


@dataclass(frozen=True)
class Spent:
    """Expressions for the tokens of the run that began in a thread after `start_seq`."""

    user_id: str
    thread_id: str
    start_seq: int

    def asked(self, most: int) -> ColumnElement[int]:
        """The newest items, at most so many tokens; twice if a tool was called on the way."""
        # One by one: Citus takes no function here that is not immutable, such as one for arrays.
        lengths = (func.octet_length(cast(ItemRow.payload[name], Text)) for name in _TOLD)
        length = reduce(add, (func.coalesce(one, 0) for one in lengths))
        told = (
            select(length.label("length"))
            .where(*self._in_thread, not_(self._is_answer), ItemRow.type.not_in(_UNTOLD))
            .order_by(ItemRow.seq.desc())
            .limit(MAX_ITEMS)
            .subquery()
        )
        once = select(_tokens(told.c.length)).scalar_subquery()
        calls = select(ItemRow.id).where(
            *self._in_thread,
            ItemRow.seq > self.start_seq,
            ItemRow.type == "hidden_context_item",
        )
        times = 1 + func.least(
            1, select(func.count()).select_from(calls.subquery()).scalar_subquery()
        )
        return func.least(once, most) * times

    def said(self) -> ColumnElement[int]:
        """The text that was stored of its answer."""
        texts = func.jsonb_path_query_array(ItemRow.payload, cast("$.content[*].text", JSONPATH))
        length = func.octet_length(cast(texts, Text))
        return select(_tokens(length)).where(*self._in_thread, self._is_answer).scalar_subquery()

    @property
    def _in_thread(self) -> tuple[ColumnElement[bool], ...]:
        return (ItemRow.user_id == self.user_id, ItemRow.thread_id == self.thread_id)

    @property
    def _is_answer(self) -> ColumnElement[bool]:
        return (ItemRow.seq > self.start_seq) & (ItemRow.type == "assistant_message")


def _tokens(length: ColumnElement[int]) -> ColumnElement[int]:
    return func.coalesce(func.sum(length), 0) // BYTES_PER_TOKEN
