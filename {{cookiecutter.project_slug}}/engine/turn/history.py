"""Thread items become the model's input: as much of the conversation as the budget holds.

The input keeps its beginning from turn to turn, because providers charge less for a beginning that
they have seen before. When the budget is full, the older half is left out at once.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from agents import TResponseInputItem
from chatkit.agents import ThreadItemConverter
from chatkit.types import (
    AssistantMessageItem,
    Attachment,
    ClientToolCallItem,
    GeneratedImageItem,
    HiddenContextItem,
    StructuredInputItem,
    TaskItem,
    ThreadItem,
    UserMessageItem,
    UserMessageTagContent,
    WidgetItem,
    WorkflowItem,
)
from openai.types.responses import (
    EasyInputMessageParam,
    ResponseInputContentParam,
    ResponseInputTextParam,
)

from engine.context.request_context import RequestContext
from engine.models.boundary.inputs import fit_input
from engine.options import Attachments, Reader, mention
from engine.store.store import MAX_PAGE, SqlStore
from engine.text.lengths import as_json, mention_text, shortened_message, truncated
from engine.text.tokens import tokens_of
from engine.turn.page_context import page_text

TOOL_CALL = "tool_call"
# What the model gets of one tool's call, result or widget. (Messages have their own limit.)
ITEM_CHARS = 20_000
# The share of the budget that is kept when it is full. The rest fills up with the next turns.
KEPT_SHARE = 0.5
# Files get what the items leave of the budget, in parts of this share: otherwise the text of a file
# would be cut at another place with each turn.
ROOM_SHARE = 1 / 8
# The most items that are read for a summary beside those that were in the window.
MAX_LEFT_OUT = 300
UNANSWERED = {"error": "The page did not answer. Go on without it and say so."}


@dataclass(frozen=True)
class Remembered:
    """The part of a conversation that the model gets: its items, and the input they become.

    `start` is the id of the message that it begins with since it was cut, if it was. `left_out` are
    items before it that the model got until now, oldest first.
    """

    items: list[ThreadItem]
    input: list[TResponseInputItem]
    start: str | None = None
    left_out: list[ThreadItem] = field(default_factory=list)

    def after(self, summary: str) -> "Remembered":
        """The same, with this text before it."""
        if not summary:
            return self
        before: TResponseInputItem = {"type": "message", "role": "user", "content": summary}
        return replace(self, input=[before, *self.input])

    @property
    def message(self) -> UserMessageItem | None:
        """The user's newest message."""
        return next((i for i in reversed(self.items) if isinstance(i, UserMessageItem)), None)

    @property
    def open_workflows(self) -> list[WorkflowItem]:
        return [i for i in self.items if isinstance(i, WorkflowItem) and i.workflow.summary is None]

    @property
    def unanswered_calls(self) -> list[ClientToolCallItem]:
        """Client tools to whose call no page has given an answer."""
        calls = (item for item in self.items if isinstance(item, ClientToolCallItem))
        return [call for call in calls if call.status == "pending"]


class History:
    def __init__(
        self, store: SqlStore, max_tokens: int, message_chars: int, attachments: Attachments | None
    ) -> None:
        self._store = store
        self._max_tokens = max_tokens
        self._message_chars = message_chars
        self._attachments = attachments

    async def load(
        self,
        thread_id: str,
        context: RequestContext,
        start: str | None = None,
        *,
        wants_left_out: bool = False,
    ) -> Remembered:
        """The items from the message `start` on, oldest first, if they fit in the budget.

        If they do not, they are cut at another message of the user, which the result names. The
        budget is also for the page's context and the files' texts. The newest user message and the
        newest item are told whatever their length, which has limits of its own.
        """
        converter = HistoryConverter(self._message_chars)
        window = Window(self._max_tokens - tokens_of(page_text(context.page)), start)
        newest_first = self._newest_first(thread_id, context)
        async for item in newest_first:
            if not window.take(item, tokens_of(await converter.to_agent_input([item]))):
                break
        left_out = window.left_out
        if wants_left_out and left_out and left_out[-1].id != start:
            left_out += await _until(newest_first, start)
        items = window.items
        read = self._reader(items, window.room, context)
        told = [item for item in reversed(items) if item.id not in window.untold]
        converter = HistoryConverter(self._message_chars, read)
        # Whatever came from a model once is sent back with every later turn.
        input = fit_input(await converter.to_agent_input(told))
        return Remembered(items[::-1], input, window.start, left_out[::-1])

    def _reader(self, newest_first: list[ThreadItem], room: int, context: RequestContext) -> Reader:
        if self._attachments is None:
            return mention
        return self._attachments.reader(newest_first, room, context)

    async def _newest_first(
        self, thread_id: str, context: RequestContext
    ) -> AsyncIterator[ThreadItem]:
        after: str | None = None
        while True:
            page = await self._store.load_thread_items(thread_id, after, MAX_PAGE, "desc", context)
            for item in page.data:
                yield item
            if not page.has_more:
                return
            after = page.after


async def _until(newest_first: AsyncIterator[ThreadItem], start: str | None) -> list[ThreadItem]:
    """The next items up to that one, which is the last; not more than `MAX_LEFT_OUT`."""
    items: list[ThreadItem] = []
    async for item in newest_first:
        items.append(item)
        if item.id == start or len(items) == MAX_LEFT_OUT:
            break
    return items


class Window:
    """The part of a conversation that fits in so many tokens. It is filled from the newest item on.

    It begins with the user's message `start`. If there is no room for all items back to that one,
    it begins with another one: the oldest with which it takes `KEPT_SHARE` of the tokens.
    `untold` are items after the newest user message for which there was no room.
    """

    def __init__(self, tokens: int, start: str | None = None) -> None:
        self.start = start
        self.untold: set[str] = set()
        self._tokens = tokens
        self._taken: list[ThreadItem] = []
        self._used = 0
        # How many items there are up to each message of the user, and their tokens.
        self._messages: list[tuple[int, int]] = []
        self._has_told = False
        self._is_full = False

    @property
    def items(self) -> list[ThreadItem]:
        """Newest first, up to a user message if there is one."""
        return self._taken[: self._kept[0]]

    @property
    def left_out(self) -> list[ThreadItem]:
        """Newest first, the items that were taken and are not among `items`."""
        return self._taken[self._kept[0] :] if self._is_full else []

    @property
    def room(self) -> int:
        """The tokens for files beside `items`."""
        part = max(1, int(self._tokens * ROOM_SHARE))
        return max(0, (self._tokens - self._kept[1]) // part * part)

    def take(self, item: ThreadItem, tokens: int) -> bool:
        """Add an item that takes so many tokens; false when no older one is wanted."""
        self._is_full = self._is_full or self._used + tokens > self._tokens
        if self._is_full and self._messages:
            self._taken.append(item)
            self.start = self.items[-1].id
            return False
        is_message = isinstance(item, UserMessageItem)
        if self._is_full and self._has_told and not is_message:
            self.untold.add(item.id)
            tokens = 0
        self._taken.append(item)
        self._used += tokens
        self._has_told = self._has_told or tokens > 0
        if is_message:
            self._messages.append((len(self._taken), self._used))
        return item.id != self.start

    @property
    def _kept(self) -> tuple[int, int]:
        """The number of items that are kept, and their tokens."""
        if not self._messages:
            return len(self._taken), self._used
        if not self._is_full:
            return self._messages[-1]
        most = self._tokens * KEPT_SHARE
        fitting = [kept for kept in self._messages if kept[1] <= most]
        return fitting[-1] if fitting else self._messages[0]


class HistoryConverter(ThreadItemConverter):
    """Converts the items that the SDK leaves to the application, and leaves out progress."""

    def __init__(self, message_chars: int, read: Reader = mention) -> None:
        self._message_chars = message_chars
        self._read = read

    async def user_message_to_input(
        self, item: UserMessageItem, is_last_message: bool = True
    ) -> TResponseInputItem | list[TResponseInputItem] | None:
        item = shortened_message(item, self._message_chars)
        return await super().user_message_to_input(item, is_last_message)

    async def assistant_message_to_input(self, item: AssistantMessageItem) -> TResponseInputItem:
        # The SDK's own gives the parts of an output, which Chat Completions cannot take back.
        text = "".join(part.text for part in item.content)
        return EasyInputMessageParam(type="message", role="assistant", content=text)

    async def hidden_context_to_input(
        self, item: HiddenContextItem
    ) -> TResponseInputItem | list[TResponseInputItem] | None:
        if isinstance(item.content, dict) and item.content.get("kind") == TOOL_CALL:
            return [_shortened_call(part) for part in item.content["items"]]
        return await super().hidden_context_to_input(item)

    async def client_tool_call_to_input(
        self, item: ClientToolCallItem
    ) -> TResponseInputItem | list[TResponseInputItem] | None:
        if item.status == "pending":
            item = answered(item)
        call = {
            "type": "function_call",
            "call_id": item.call_id,
            "name": item.name,
            "arguments": as_json(item.arguments),
        }
        # JSON that is cut is not valid any more; the model reads it all the same.
        output = truncated(as_json(item.output), self._message_chars)
        result = {"type": "function_call_output", "call_id": item.call_id, "output": output}
        return [_shortened_call(call), cast("TResponseInputItem", result)]

    async def structured_input_to_input(
        self, item: StructuredInputItem
    ) -> TResponseInputItem | list[TResponseInputItem] | None:
        return _shortened_parts(await super().structured_input_to_input(item))

    async def workflow_to_input(self, item: WorkflowItem) -> None:
        """Progress is for people; the model gets the tool calls themselves."""

    async def task_to_input(self, item: TaskItem) -> None:
        """Like a workflow."""

    async def widget_to_input(
        self, item: WidgetItem
    ) -> TResponseInputItem | list[TResponseInputItem] | None:
        """The short text of the widget; its components are for the element that draws them."""
        if item.copy_text is None:
            return _shortened_parts(await super().widget_to_input(item))
        shown = truncated(item.copy_text, ITEM_CHARS)
        text = f"This was shown to the user:\n<Widget>\n{shown}\n</Widget>"
        return EasyInputMessageParam(type="message", role="user", content=text)

    async def generated_image_to_input(self, item: GeneratedImageItem) -> TResponseInputItem | None:
        # Its address is for browsers, and expires.
        text = "[The picture that was asked for was shown here.]"
        return EasyInputMessageParam(type="message", role="assistant", content=text)

    async def tag_to_message_content(self, tag: UserMessageTagContent) -> ResponseInputContentParam:
        return ResponseInputTextParam(type="input_text", text=mention_text(tag))

    async def attachment_to_message_content(
        self, attachment: Attachment
    ) -> ResponseInputContentParam:
        return await self._read(attachment)


def _shortened_call(part: dict[str, Any]) -> TResponseInputItem:
    """A call or its result. Arguments stay valid JSON: servers refuse what is none."""
    changes: dict[str, Any] = {}
    if len(part.get("arguments") or "") > ITEM_CHARS:
        changes["arguments"] = "{}"
    if isinstance(part.get("output"), str):
        changes["output"] = truncated(part["output"], ITEM_CHARS)
    return cast("TResponseInputItem", {**part, **changes})


def _shortened_parts(message: object) -> TResponseInputItem:
    """A message as the SDK makes it, each of its texts cut."""
    made = cast("dict[str, Any]", message)
    content = [{**part, "text": truncated(part["text"], ITEM_CHARS)} for part in made["content"]]
    return cast("TResponseInputItem", {**made, "content": content})


def answered(call: ClientToolCallItem) -> ClientToolCallItem:
    """The call, completed with a result that says that the page did not answer."""
    return call.model_copy(update={"status": "completed", "output": UNANSWERED})
