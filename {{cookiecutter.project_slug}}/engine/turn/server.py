"""The ChatKit SDK's server: hands each request to what carries it out."""

import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from chatkit.actions import Action
from chatkit.server import NonStreamingResult, StreamingResult
from chatkit.types import (
    AudioInput,
    ChatKitReq,
    FeedbackKind,
    SyncCustomActionResponse,
    ThreadItem,
    ThreadItemReplacedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    ThreadUpdatedEvent,
    TranscriptionResult,
    UserMessageItem,
    WidgetItem,
    is_streaming_req,
)

from engine.context.request_context import RequestContext
from engine.context.run import Run
from engine.http.errors import NotFound
from engine.http.event_stream import sse
from engine.sdk_internals import OpenChatKitServer
from engine.turn.account import Account
from engine.turn.actions import Actions
from engine.turn.begin import begin_turn, describe
from engine.turn.drafts import Drafts
from engine.turn.failures import friendly
from engine.turn.interruption import (
    interrupted_items,
    keeps_old_answer,
    shown_items,
    take_pending,
)
from engine.turn.parts import Parts
from engine.turn.progress import open_workflow
from engine.turn.thread_title import ThreadTitle
from engine.turn.turn import Turn

logger = logging.getLogger(__name__)


class ChatServer(OpenChatKitServer[RequestContext]):
    def __init__(self, parts: Parts, actions: Actions) -> None:
        super().__init__(
            parts.store, parts.attachments.chatkit_store if parts.attachments else None
        )
        self.parts = parts
        self._actions = actions

    async def answer(
        self, request: ChatKitReq, context: RequestContext
    ) -> StreamingResult | NonStreamingResult:
        """`process`, for a request that is parsed already; the SDK's own parses it again."""
        attachments = self.parts.attachments
        if is_streaming_req(request):
            events = self.stream(request, context)
            return StreamingResult(
                attachments.each_inlined(events, context) if attachments else events
            )
        json = await self.reply(request, replace(context, visible_only=True))
        return NonStreamingResult(await attachments.inlined(json, context) if attachments else json)

    async def respond(
        self,
        thread: ThreadMetadata,
        input_user_message: UserMessageItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        run = _run_of(context)
        run.begin()
        describe(thread, input_user_message, context, self.parts.settings)
        turn = begin_turn(self.parts, thread, input_user_message, context)
        drafts = Drafts(run, self.update_pending)
        if input_user_message is not None:
            opened = open_workflow(turn)
            drafts.add(opened.item)
            yield opened
        title = ThreadTitle(self.parts, thread, input_user_message)
        answer = Turn(self.parts, turn, drafts, lambda event: run.send(sse(self.serialize(event))))
        try:
            async for event in answer.events(input_user_message):
                yield event
                for changed in await title.take_changed(context):
                    yield ThreadUpdatedEvent(thread=self.response_of(changed))
        finally:
            turn.release()
            if (written := await title.stop()) is not None:
                Account(run, self.parts.prices).add(*written)

    async def action(
        self,
        thread: ThreadMetadata,
        action: Action[str, Any],
        sender: WidgetItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        try:
            item = await self._actions.perform(action, _sender(sender), context)
        except Exception as error:
            logger.exception("an action failed")
            raise friendly(error) from error
        yield ThreadItemReplacedEvent(item=item)
        _run_of(context).complete = True

    async def sync_action(
        self,
        thread: ThreadMetadata,
        action: Action[str, Any],
        sender: WidgetItem | None,
        context: RequestContext,
    ) -> SyncCustomActionResponse:
        item = await self._actions.perform(action, _sender(sender), context)
        return SyncCustomActionResponse(updated_item=item)

    async def add_feedback(
        self,
        thread_id: str,
        item_ids: list[str],
        feedback: FeedbackKind,
        context: RequestContext,
    ) -> None:
        await self.parts.store.save_feedback(thread_id, item_ids, feedback, context)

    async def transcribe(
        self, audio_input: AudioInput, context: RequestContext
    ) -> TranscriptionResult:
        assert self.parts.dictation is not None, "admission refuses it without dictation"
        return await self.parts.dictation.transcribe(audio_input)

    async def handle_stream_cancelled(
        self,
        thread: ThreadMetadata,
        pending_items: list[ThreadItem],
        context: RequestContext,
    ) -> None:
        """Keep what was said and shown until the user stopped it, or the server had to."""
        run = _run_of(context)
        pending = await take_pending(run, pending_items)
        if keeps_old_answer(run, pending):
            return
        # The thread was deleted meanwhile, or another worker has closed the run and left a notice.
        with suppress(NotFound):
            await self._save(shown_items(pending), thread, context)
            if run.status == "stopped":
                await super().handle_stream_cancelled(thread, pending, context)
            else:
                interrupted = interrupted_items(pending, thread.id, context.locale)
                await self._save(interrupted, thread, context)

    async def _save(
        self, items: list[ThreadItem], thread: ThreadMetadata, context: RequestContext
    ) -> None:
        for item in items:
            await self.store.add_thread_item(thread.id, item, context)


def _sender(widget: WidgetItem | None) -> WidgetItem:
    assert widget is not None, "admission refuses an action without its widget"
    return widget


def _run_of(context: RequestContext) -> Run:
    assert context.run is not None, "admission gives one to every request that streams"
    return context.run
