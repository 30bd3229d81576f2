"""Thread items become the model's input: as much of the conversation as the budget holds."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from agents import TResponseInputItem
from chatkit.agents import ThreadItemConverter
from chatkit.types import (
    AssistantMessageItem,
    Attachment,
    ClientToolCallItem,
    GeneratedImageItem,
    HiddenContextItem,
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

from app.agent.boundary.inputs import fit_input
from app.attachments.base import Attachments, Reader, mention
from app.chat.context import RequestContext
from app.chat.store import MAX_PAGE, SqlStore
from app.chat.tokens import tokens_of

TOOL_CALL = "tool_call"
UNANSWERED = {"error": "The page did not answer. Go on without it and say so."}


@dataclass(frozen=True)
class Remembered:
    """The part of a conversation that the model gets: its items, and the input they become."""

    items: list[ThreadItem]
    input: list[TResponseInputItem]

    @property
    def message(self) -> UserMessageItem | None:
        """What the user said last."""
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
    def __init__(self, store: SqlStore, max_tokens: int, attachments: Attachments) -> None:
        self._store = store
        self._max_tokens = max_tokens
        self._attachments = attachments
        self._converter = HistoryConverter()

    async def load(self, thread_id: str, context: RequestContext) -> Remembered:
        """The newest items that fit in the budget, oldest first, beginning with a user message.

        The newest user message and what followed it are kept however long they are.
        """
        newest_first: list[ThreadItem] = []
        used = 0
        kept = 0
        left = self._max_tokens
        async for item in self._newest_first(thread_id, context):
            used += tokens_of(await self._converter.to_agent_input([item]))
            if used > self._max_tokens and kept:
                break
            newest_first.append(item)
            if isinstance(item, UserMessageItem):
                kept = len(newest_first)
                left = self._max_tokens - used
        window = newest_first[:kept] or newest_first
        read = self._attachments.reader(window, left, context)
        window = window[::-1]
        # Whatever came from a model once is sent back with every later turn.
        return Remembered(window, fit_input(await HistoryConverter(read).to_agent_input(window)))

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


class HistoryConverter(ThreadItemConverter):
    """What the SDK leaves to the application, and what the model has no use for."""

    def __init__(self, read: Reader = mention) -> None:
        self._read = read

    async def assistant_message_to_input(self, item: AssistantMessageItem) -> TResponseInputItem:
        # The SDK's own gives the parts of an output, which Chat Completions cannot take back.
        text = "".join(part.text for part in item.content)
        return EasyInputMessageParam(type="message", role="assistant", content=text)

    async def hidden_context_to_input(
        self, item: HiddenContextItem
    ) -> TResponseInputItem | list[TResponseInputItem] | None:
        if isinstance(item.content, dict) and item.content.get("kind") == TOOL_CALL:
            return cast("list[TResponseInputItem]", item.content["items"])
        return await super().hidden_context_to_input(item)

    async def client_tool_call_to_input(
        self, item: ClientToolCallItem
    ) -> TResponseInputItem | list[TResponseInputItem] | None:
        if item.status == "pending":
            item = answered(item)
        return await super().client_tool_call_to_input(item)

    async def workflow_to_input(self, item: WorkflowItem) -> None:
        """Progress is for people; the model gets the tool calls themselves."""

    async def task_to_input(self, item: TaskItem) -> None:
        """Like a workflow."""

    async def widget_to_input(
        self, item: WidgetItem
    ) -> TResponseInputItem | list[TResponseInputItem] | None:
        """What it shows, in short; its components are for the element that draws them."""
        if item.copy_text is None:
            return await super().widget_to_input(item)
        text = f"This was shown to the user:\n<Widget>\n{item.copy_text}\n</Widget>"
        return EasyInputMessageParam(type="message", role="user", content=text)

    async def generated_image_to_input(self, item: GeneratedImageItem) -> TResponseInputItem | None:
        # Its address is for browsers, and expires.
        text = "[The picture that was asked for was shown here.]"
        return EasyInputMessageParam(type="message", role="assistant", content=text)

    async def tag_to_message_content(self, tag: UserMessageTagContent) -> ResponseInputContentParam:
        details = json.dumps({"id": tag.id, **tag.data}, ensure_ascii=False)
        return ResponseInputTextParam(type="input_text", text=f"{tag.text}: {details}")

    async def attachment_to_message_content(
        self, attachment: Attachment
    ) -> ResponseInputContentParam:
        return await self._read(attachment)


def answered(call: ClientToolCallItem) -> ClientToolCallItem:
    """A call that nobody waits for any more, as if the page had said so."""
    return call.model_copy(update={"status": "completed", "output": UNANSWERED})
