"""Everything about a request that can be refused with a status code: `ADMISSIONS`.

Once the stream has opened, the status is 200 and a refusal is only an event in it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from chatkit.types import (
    AttachmentsCreateReq,
    AttachmentsDeleteReq,
    ChatKitReq,
    ClientToolCallItem,
    InputTranscribeReq,
    ItemsFeedbackReq,
    ItemsListReq,
    StructuredInputItem,
    ThreadCustomActionParams,
    ThreadsAddClientToolOutputReq,
    ThreadsAddStructuredInputReq,
    ThreadsAddUserMessageReq,
    ThreadsCreateReq,
    ThreadsCustomActionReq,
    ThreadsDeleteReq,
    ThreadsGetByIdReq,
    ThreadsListReq,
    ThreadsRetryAfterItemReq,
    ThreadsSyncCustomActionReq,
    ThreadsUpdateReq,
    UserMessageInput,
    UserMessageItem,
    WidgetItem,
)

from engine.context.ids import new_id, new_run_id
from engine.context.request_context import RequestContext
from engine.context.run import Run
from engine.http.errors import (
    AppError,
    InvalidRequest,
    MessageTooLong,
    NotFound,
    RunInProgress,
    Unavailable,
)
from engine.options import NO_ATTACHMENTS, NO_DICTATION
from engine.runs.run_store import RunStore, check_writable
from engine.runs.runs import Runs
from engine.text.lengths import answer_chars, as_json, message_chars
from engine.text.locales import Translatable
from engine.text.title_text import one_line
from engine.turn.page_context import page_text
from engine.turn.parts import Parts

MAX_TITLE_LENGTH = 200
MAX_FEEDBACK_ITEMS = 100


class Admission:
    """Checks a request and begins its run. Each kind of request has one method in `ADMISSIONS`."""

    def __init__(self, parts: Parts, run_store: RunStore, runs: Runs) -> None:
        self._settings = parts.settings
        self._store = parts.store
        self._toolset = parts.toolset
        self._attachments = parts.attachments
        self._dictation = parts.dictation
        self.run_store = run_store
        self.runs = runs

    async def admit(self, request: ChatKitReq, context: RequestContext) -> RequestContext:
        """Return the context to go on with, or raise the `AppError` that refuses the request.

        Where an answer will stream, its run has begun in the context that is returned.
        """
        return await ADMISSIONS[type(request)](self, request, context)

    async def no_check(self, _request: ChatKitReq, context: RequestContext) -> RequestContext:
        """The SDK and the store refuse what has to be refused."""
        return context

    async def create_thread(
        self, request: ThreadsCreateReq, context: RequestContext
    ) -> RequestContext:
        message = request.params.input
        await self._check_message(message, context)
        run = self._new_run(request, context, new_id("thread"))
        run.model = message.inference_options.model or run.model
        await self.run_store.claim(run, context.request_key, new_thread=True)
        return replace(context, run=run)

    async def add_user_message(
        self, request: ThreadsAddUserMessageReq, context: RequestContext
    ) -> RequestContext:
        message = request.params.input
        await self._check_message(message, context)
        run = self._new_run(request, context, request.params.thread_id)
        run.model = message.inference_options.model or run.model
        return await self._claim(run, context)

    async def retry(
        self, request: ThreadsRetryAfterItemReq, context: RequestContext
    ) -> RequestContext:
        thread_id, item_id = request.params.thread_id, request.params.item_id
        await self._check_writable(thread_id, context)
        item = await self._store.load_item(thread_id, item_id, context)
        if not isinstance(item, UserMessageItem):
            raise InvalidRequest("Only an answer to a message of the user can be tried again.")
        run = self._new_run(request, context, thread_id)
        run.model = item.inference_options.model or run.model
        context = await self._claim(run, context)
        # Only now: until the thread is claimed, another answer may still have been written.
        try:
            run.retry = await self._store.retry_range(thread_id, item_id, context)
        except (NotFound, Unavailable):
            run.status = "failed"
            await self.run_store.end(run)
            raise
        return context

    async def add_client_tool_output(
        self, request: ThreadsAddClientToolOutputReq, context: RequestContext
    ) -> RequestContext:
        thread_id = request.params.thread_id
        limit = self._settings.message_chars
        if len(as_json(request.params.result)) > limit:
            raise MessageTooLong(
                Translatable(
                    "A result has at most {count} character.",
                    "A result has at most {count} characters.",
                    count=limit,
                )
            )
        await self._check_writable(thread_id, context)
        newest = await self._store.load_thread_items(thread_id, None, 1, "desc", context)
        match newest.data:
            case [ClientToolCallItem(status="pending")]:
                return await self._claim(self._new_run(request, context, thread_id), context)
        raise InvalidRequest("No client tool is waiting for a result in this conversation.")

    async def add_structured_input(
        self, request: ThreadsAddStructuredInputReq, context: RequestContext
    ) -> RequestContext:
        thread_id, item_id = request.params.thread_id, request.params.item_id
        self._check_length(answer_chars(request.params.input))
        await self._check_writable(thread_id, context)
        item = await self._store.load_item(thread_id, item_id, context)
        if not isinstance(item, StructuredInputItem) or item.status != "pending":
            raise InvalidRequest("This question is not waiting for an answer.")
        return await self._claim(self._new_run(request, context, thread_id), context)

    async def custom_action(
        self, request: ThreadsCustomActionReq, context: RequestContext
    ) -> RequestContext:
        await self._check_action(request.params, context)
        run = self._new_run(request, context, request.params.thread_id)
        return await self._claim(run, context)

    async def sync_custom_action(
        self, request: ThreadsSyncCustomActionReq, context: RequestContext
    ) -> RequestContext:
        await self._check_action(request.params, context)
        return context

    async def update_thread(
        self, request: ThreadsUpdateReq, context: RequestContext
    ) -> RequestContext:
        title = one_line(request.params.title)
        if not 0 < len(title) <= MAX_TITLE_LENGTH:
            raise InvalidRequest(
                Translatable(
                    "A title has {least} to {most} characters.", least=1, most=MAX_TITLE_LENGTH
                )
            )
        request.params.title = title
        return context

    async def delete_thread(
        self, request: ThreadsDeleteReq, context: RequestContext
    ) -> RequestContext:
        # The SDK does not check that the thread exists.
        await self._store.load_thread(request.params.thread_id, context)
        return context

    async def give_feedback(
        self, request: ItemsFeedbackReq, context: RequestContext
    ) -> RequestContext:
        if not 0 < len(request.params.item_ids) <= MAX_FEEDBACK_ITEMS:
            raise InvalidRequest(f"item_ids: 1 to {MAX_FEEDBACK_ITEMS} items.")
        return context

    async def transcribe(
        self, request: InputTranscribeReq, context: RequestContext
    ) -> RequestContext:
        if self._dictation is None:
            raise InvalidRequest(NO_DICTATION)
        self._dictation.check(request.params.audio_base64)
        return context

    async def change_attachments(
        self, _request: AttachmentsCreateReq | AttachmentsDeleteReq, context: RequestContext
    ) -> RequestContext:
        if self._attachments is None:
            raise InvalidRequest(NO_ATTACHMENTS)
        return context

    async def _check_message(self, message: UserMessageInput, context: RequestContext) -> None:
        if not (message.attachments or any(part.text.strip() for part in message.content)):
            raise InvalidRequest("The message is empty.")
        # Empty parts have no length, and are stored and shown all the same.
        length = max(message_chars(message), len(message.content))
        length += len(page_text(context.page))
        self._check_length(length)
        self._toolset.check(message.inference_options)
        try:
            await self._check_attachments(message.attachments, context)
        except AppError:
            # A message that is sent again carries files which the first one took.
            await self.run_store.refuse_repeat(context.user_id, context.request_key)
            raise

    async def _check_attachments(self, ids: list[str], context: RequestContext) -> None:
        if self._attachments is not None:
            await self._attachments.admit(ids, context)
        elif ids:
            raise InvalidRequest(NO_ATTACHMENTS)

    def _check_length(self, length: int) -> None:
        limit = self._settings.message_chars
        if length > limit:
            raise MessageTooLong(
                Translatable(
                    "A message has at most {count} character.",
                    "A message has at most {count} characters.",
                    count=limit,
                )
            )

    async def _check_action(
        self, params: ThreadCustomActionParams, context: RequestContext
    ) -> None:
        self._toolset.with_action(params.action.type)
        await self._check_writable(params.thread_id, context)
        if params.item_id is None:
            raise InvalidRequest("An action comes from a widget.")
        item = await self._store.load_item(params.thread_id, params.item_id, context)
        if not isinstance(item, WidgetItem):
            raise InvalidRequest("An action comes from a widget.")

    async def _check_writable(self, thread_id: str, context: RequestContext) -> None:
        check_writable(await self._store.load_thread(thread_id, context))

    def _new_run(self, request: ChatKitReq, context: RequestContext, thread_id: str) -> Run:
        """A run with the default model. Raises `ServerBusy` or `Unavailable`."""
        self.runs.check_capacity()
        run = Run(new_run_id(), context.user_id, thread_id, request.type)
        run.model = self._settings.offered_models[0]
        run.address = context.address
        return run

    async def _claim(self, run: Run, context: RequestContext) -> RequestContext:
        """Begin the run in its thread, once a run whose client disconnected has been stopped."""
        try:
            thread = await self.run_store.claim(run, context.request_key, new_thread=False)
        except RunInProgress:
            if not await self.runs.stop_disconnected_run(run.user_id, run.thread_id):
                raise
            thread = await self.run_store.claim(run, context.request_key, new_thread=False)
        return replace(context, run=run, thread=thread)


Admit = Callable[[Admission, Any, RequestContext], Awaitable[RequestContext]]

ADMISSIONS: Mapping[type[ChatKitReq], Admit] = {
    ThreadsCreateReq: Admission.create_thread,
    ThreadsAddUserMessageReq: Admission.add_user_message,
    ThreadsRetryAfterItemReq: Admission.retry,
    ThreadsAddClientToolOutputReq: Admission.add_client_tool_output,
    ThreadsAddStructuredInputReq: Admission.add_structured_input,
    ThreadsCustomActionReq: Admission.custom_action,
    ThreadsSyncCustomActionReq: Admission.sync_custom_action,
    ThreadsUpdateReq: Admission.update_thread,
    ThreadsDeleteReq: Admission.delete_thread,
    ItemsFeedbackReq: Admission.give_feedback,
    InputTranscribeReq: Admission.transcribe,
    ThreadsGetByIdReq: Admission.no_check,
    ThreadsListReq: Admission.no_check,
    ItemsListReq: Admission.no_check,
    AttachmentsCreateReq: Admission.change_attachments,
    AttachmentsDeleteReq: Admission.change_attachments,
}
