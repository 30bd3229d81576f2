"""Whether a request may go ahead: everything that can be refused with a status code.

Once the stream has opened, the status is 200 and a refusal is only an event in it.
"""

from collections.abc import Iterable
from dataclasses import replace

from chatkit.types import (
    AttachmentsCreateReq,
    AttachmentsDeleteReq,
    ChatKitReq,
    ClientToolCallItem,
    InferenceOptions,
    InputTranscribeReq,
    ItemsFeedbackReq,
    StructuredInputItem,
    ThreadCustomActionParams,
    ThreadsAddClientToolOutputReq,
    ThreadsAddStructuredInputReq,
    ThreadsAddUserMessageReq,
    ThreadsCreateReq,
    ThreadsCustomActionReq,
    ThreadsDeleteReq,
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
from engine.tools.tool import AgentTool
from engine.turn.page_context import page_text
from engine.turn.parts import Parts

MAX_TITLE_LENGTH = 200
MAX_FEEDBACK_ITEMS = 100


class Admission:
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
        match request:
            case ThreadsCreateReq():
                await self._check_message(request.params.input, context)
                run = self._run(request, context, new_id("thread"), request.params.input)
                await self.run_store.claim(run, context.request_key, new_thread=True)
                return replace(context, run=run)
            case ThreadsAddUserMessageReq():
                await self._check_message(request.params.input, context)
                run = self._run(request, context, request.params.thread_id, request.params.input)
                return await self._claim(run, context)
            case ThreadsRetryAfterItemReq():
                return await self._admit_retry(request, context)
            case ThreadsAddClientToolOutputReq():
                await self._check_client_tool_output(request, context)
                return await self._claim(
                    self._run(request, context, request.params.thread_id), context
                )
            case ThreadsAddStructuredInputReq():
                await self._check_structured_input(request, context)
                return await self._claim(
                    self._run(request, context, request.params.thread_id), context
                )
            case ThreadsUpdateReq():
                request.params.title = _title(request.params.title)
            case ThreadsDeleteReq():
                # The SDK does not look whether there is such a thread.
                await self._store.load_thread(request.params.thread_id, context)
            case ItemsFeedbackReq():
                if not 0 < len(request.params.item_ids) <= MAX_FEEDBACK_ITEMS:
                    raise InvalidRequest(f"item_ids: 1 to {MAX_FEEDBACK_ITEMS} items.")
            case ThreadsCustomActionReq():
                await self._check_action(request.params, context)
                return await self._claim(
                    self._run(request, context, request.params.thread_id), context
                )
            case ThreadsSyncCustomActionReq():
                await self._check_action(request.params, context)
            case InputTranscribeReq():
                if self._dictation is None:
                    raise InvalidRequest(NO_DICTATION)
                self._dictation.check(request.params.audio_base64)
            case AttachmentsCreateReq() | AttachmentsDeleteReq():
                if self._attachments is None:
                    raise InvalidRequest(NO_ATTACHMENTS)
        return context

    async def _check_message(self, message: UserMessageInput, context: RequestContext) -> None:
        if not (message.attachments or any(part.text.strip() for part in message.content)):
            raise InvalidRequest("The message is empty.")
        limit = self._settings.message_chars
        # (Empty parts have no length, and are stored and shown all the same.)
        length = max(message_chars(message), len(message.content))
        if length + len(page_text(context.page)) > limit:
            raise MessageTooLong(
                Translatable(
                    "A message has at most {count} character.",
                    "A message has at most {count} characters.",
                    count=limit,
                )
            )
        self._check_options(message.inference_options)
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

    def _check_options(self, options: InferenceOptions) -> None:
        offered = self._settings.offered_models
        model = options.model or offered[0]
        if model not in offered:
            raise InvalidRequest("This model is not on offer.")
        wanted = options.tool_choice.id if options.tool_choice else None
        if wanted is None or wanted in _ids(self._toolset.usable(model)):
            return
        if wanted in _ids(self._toolset.usable()):
            raise InvalidRequest("This tool does not work with this model.")
        raise InvalidRequest("This tool is not on offer.")

    def _run(
        self,
        request: ChatKitReq,
        context: RequestContext,
        thread_id: str,
        message: UserMessageInput | UserMessageItem | None = None,
    ) -> Run:
        self.runs.check_capacity()
        chosen = message.inference_options.model if message else None
        return Run(
            new_run_id(),
            context.user_id,
            thread_id,
            request=request.type,
            model=chosen or self._settings.offered_models[0],
            address=context.address,
        )

    async def _claim(self, run: Run, context: RequestContext) -> RequestContext:
        try:
            thread = await self.run_store.claim(run, context.request_key, new_thread=False)
        except RunInProgress:
            if not await self.runs.stop_disconnected_run(run.user_id, run.thread_id):
                raise
            thread = await self.run_store.claim(run, context.request_key, new_thread=False)
        return replace(context, run=run, thread=thread)

    async def _check_writable(self, thread_id: str, context: RequestContext) -> None:
        check_writable(await self._store.load_thread(thread_id, context))

    async def _admit_retry(
        self, request: ThreadsRetryAfterItemReq, context: RequestContext
    ) -> RequestContext:
        thread_id, item_id = request.params.thread_id, request.params.item_id
        await self._check_writable(thread_id, context)
        item = await self._store.load_item(thread_id, item_id, context)
        if not isinstance(item, UserMessageItem):
            raise InvalidRequest("Only an answer to a message of the user can be tried again.")
        context = await self._claim(self._run(request, context, thread_id, item), context)
        assert context.run is not None
        # Only now: until it has the thread, another answer may still have been written.
        try:
            context.run.retry = await self._store.retry_range(thread_id, item_id, context)
        except (NotFound, Unavailable):
            context.run.status = "failed"
            await self.run_store.end(context.run)
            raise
        return context

    async def _check_client_tool_output(
        self, request: ThreadsAddClientToolOutputReq, context: RequestContext
    ) -> None:
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
                return
        raise InvalidRequest("No client tool is waiting for a result in this conversation.")

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

    async def _check_structured_input(
        self, request: ThreadsAddStructuredInputReq, context: RequestContext
    ) -> None:
        thread_id, item_id = request.params.thread_id, request.params.item_id
        limit = self._settings.message_chars
        if answer_chars(request.params.input) > limit:
            raise MessageTooLong(
                Translatable(
                    "A message has at most {count} character.",
                    "A message has at most {count} characters.",
                    count=limit,
                )
            )
        await self._check_writable(thread_id, context)
        item = await self._store.load_item(thread_id, item_id, context)
        if not isinstance(item, StructuredInputItem) or item.status != "pending":
            raise InvalidRequest("This question is not waiting for an answer.")


def _ids(tools: Iterable[AgentTool]) -> set[str]:
    return {tool.id for tool in tools}


def _title(title: str) -> str:
    title = one_line(title)
    if not 0 < len(title) <= MAX_TITLE_LENGTH:
        raise InvalidRequest(
            Translatable(
                "A title has {least} to {most} characters.", least=1, most=MAX_TITLE_LENGTH
            )
        )
    return title
