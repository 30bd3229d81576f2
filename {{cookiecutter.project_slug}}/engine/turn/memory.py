"""Loads the part of a conversation that a turn gets, and a summary of the part before."""

from collections.abc import Sequence

from agents import TResponseInputItem
from chatkit.types import ThreadItem

from engine.context.ids import new_id
from engine.context.run import Run
from engine.models.boundary.model import BoundaryModel
from engine.models.boundary.outputs import ItemIds, Visible
from engine.models.summaries import summarise
from engine.store.store import HISTORY_START, HISTORY_SUMMARY
from engine.text.lengths import as_json, truncated
from engine.text.tokens import BYTES_PER_TOKEN, tokens_of
from engine.tools.turn_context import TurnContext
from engine.turn.account import Account
from engine.turn.history import History, HistoryConverter, Remembered
from engine.turn.parts import Parts

# A refusal is no summary, and thoughts are removed from the text.
FOR_SUMMARIES = Visible(refusals=False, thoughts=True)
# What the small model gets of one item.
LINE_CHARS = 4_000


class Memory:
    """Keeps in the thread's metadata where its history begins, and a summary of what was before."""

    def __init__(self, parts: Parts, context: TurnContext, run: Run) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._context = context
        self._run = run
        metadata = context.thread.metadata
        self._start: str | None = metadata.get(HISTORY_START)
        self._summary: str | None = metadata.get(HISTORY_SUMMARY) if self._is_summarised else None

    async def load(self) -> Remembered:
        """The history, beginning where that of the turn before began, if it fits."""
        history = History(
            self._parts.store,
            self._settings.history_tokens - tokens_of(summary_text(self._summary)),
            self._settings.message_chars,
            self._parts.attachments,
        )
        remembered = await history.load(
            self._context.thread.id,
            self._context.request_context,
            self._start,
            wants_left_out=self._is_summarised,
        )
        if remembered.start is not None and remembered.start != self._start:
            await self._cut(remembered.start, remembered.left_out)
        return remembered.after(summary_text(self._summary))

    @property
    def _is_summarised(self) -> bool:
        return self._settings.summary_model is not None

    async def _cut(self, start: str, left_out: Sequence[ThreadItem]) -> None:
        """Store where the next turns begin, and along with it the new summary."""
        changed = {HISTORY_START: start}
        if self._settings.summary_model is not None:
            self._summary = await self._summarise(self._settings.summary_model, left_out)
        if self._summary is not None:
            changed[HISTORY_SUMMARY] = self._summary
        thread_id, context = self._context.thread.id, self._context.request_context
        await self._parts.store.save_metadata(thread_id, changed, context)

    async def _summarise(self, name: str, left_out: Sequence[ThreadItem]) -> str | None:
        """The summary of these items and of those before; the old one if none can be written."""
        source = self._parts.models
        model = BoundaryModel(
            source.get(name), source.dialect(name), ItemIds(new_id), FOR_SUMMARIES
        )
        told = await HistoryConverter(self._settings.message_chars).to_agent_input(left_out)
        conversation = transcript(self._summary, told, self._settings.history_tokens)
        written = await summarise(model, conversation, tracing=self._settings.tracing)
        account = Account(self._run, self._parts.prices)
        account.add(name, written.tokens_in, written.tokens_out, written.cached)
        return written.text or self._summary


def summary_text(summary: str | None) -> str:
    """The summary as text for the model; empty without a summary."""
    return f"[Summary of what was said before, by a model: {summary}]" if summary else ""


def transcript(summary: str | None, told: Sequence[TResponseInputItem], tokens: int) -> str:
    """The conversation for the small model, one line for each item, the newest of it."""
    lines = [truncated(as_json(item), LINE_CHARS) for item in told]
    before = [summary_text(summary)] if summary else []
    return "\n".join([*before, "\n".join(lines)[-tokens * BYTES_PER_TOKEN :]])
