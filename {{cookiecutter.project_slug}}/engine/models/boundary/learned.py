"""Workarounds for features that a model's server does not support.

OpenAI-compatible servers support different parts of the API. If a server refuses a request because
of a feature that can be omitted or replaced, the request is retried without it. The process then
remembers this workaround until it ends.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

import openai
from agents import ModelSettings, TResponseInputItem
from agents.models.reasoning_content_replay import (
    ReasoningContentReplayContext,
    default_should_replay_reasoning_content,
)

from engine.models.boundary.failures import ModelFailure, Reason, error_text, reason_of
from engine.models.boundary.inputs import (
    REPLAYED,
    with_alternating_roles,
    with_mentions,
    with_reasoning_content,
    without_stored_items,
)

ENCRYPTED_REASONING = "reasoning.encrypted_content"
MAX_KNOWN_FILES = 10_000


class Workaround(Enum):
    """One change to the requests for a server."""

    NO_ENCRYPTED_REASONING = auto()
    NO_STORED_ITEMS = auto()
    NO_USAGE = auto()
    ALTERNATING_ROLES = auto()
    REASONING_CONTENT = auto()
    NO_REFUSED_FILES = auto()


@dataclass(frozen=True)
class Request:
    """The parts of a request to the model that differ between servers.

    `digests` holds hashes of the files in the input, by the `id()` of their parts, because hashing
    a large file takes time. Files in `left_out` are replaced with a mention.
    """

    input: list[TResponseInputItem]
    settings: ModelSettings
    is_responses: bool
    digests: Mapping[int, str]
    left_out: frozenset[str] = frozenset()

    @property
    def has_files(self) -> bool:
        return not self.left_out.issuperset(self.digests.values())


Tried = frozenset[Workaround]


class LearnedWorkarounds:
    """The workarounds for one server, and the files that it has accepted or refused.

    Files are remembered one by one, the newest `MAX_KNOWN_FILES` of them, because a refused file
    does not mean that others are refused.
    """

    def __init__(self) -> None:
        self.workarounds: set[Workaround] = set()
        self._files: OrderedDict[str, bool] = OrderedDict()

    def apply(self, request: Request, tried: Tried = frozenset()) -> Request:
        """The request with the known workarounds and with those that are being tried."""
        for workaround, change in _CHANGES.items():
            if workaround in self.workarounds or workaround in tried:
                request = change(request)
        # While a workaround is tried, a file that was never accepted counts as refused.
        unknown = Workaround.NO_REFUSED_FILES not in tried
        left_out = frozenset(
            file for file in request.digests.values() if not self._files.get(file, unknown)
        )
        if not left_out:
            return request
        refused = {part for part, file in request.digests.items() if file in left_out}
        items = with_mentions(request.input, refused)
        return replace(request, input=items, left_out=left_out)

    def workaround_for(self, error: Exception, request: Request, tried: Tried) -> Workaround | None:
        """The workaround to try after this error; None if the error names nothing to change."""
        if not _is_refusal(error):
            return None
        text = error_text(error)
        for workaround, (pattern, is_asked) in _REFUSALS.items():
            if workaround in self.workarounds or workaround in tried or not is_asked(request):
                continue
            if pattern.search(text):
                return workaround
        return None

    def remember(self, tried: Tried, sent: Request) -> None:
        """Remember that the server accepted this request."""
        self.workarounds |= tried - {Workaround.NO_REFUSED_FILES}
        for file in sent.digests.values():
            self._files[file] = file not in sent.left_out
            self._files.move_to_end(file)
        while len(self._files) > MAX_KNOWN_FILES:
            self._files.popitem(last=False)


def replays_reasoning(context: ReasoningContentReplayContext) -> bool:
    """For the Agents SDK: True for a reasoning item that is sent together with its calls."""
    return REPLAYED in context.reasoning.provider_data or default_should_replay_reasoning_content(
        context
    )


def _is_refusal(error: Exception) -> bool:
    """True if a changed request may succeed; false if only the same request can be retried."""
    if isinstance(error, openai.APIStatusError) and error.status_code >= 500:
        return _NAMES_FILES.search(error_text(error)) is not None
    if not isinstance(error, openai.APIError | ModelFailure):
        return False
    return reason_of(error) in (Reason.UNKNOWN, Reason.INTERRUPTED, Reason.NO_SUCH_MODEL, None)


def _without_encrypted_reasoning(request: Request) -> Request:
    include = [
        name for name in request.settings.response_include or () if name != ENCRYPTED_REASONING
    ]
    return replace(request, settings=replace(request.settings, response_include=include or None))


def _without_usage(request: Request) -> Request:
    return replace(request, settings=replace(request.settings, include_usage=None))


def _changing_input(
    change: Callable[[list[TResponseInputItem]], list[TResponseInputItem]],
) -> Callable[[Request], Request]:
    return lambda request: replace(request, input=change(request.input))


_CHANGES: dict[Workaround, Callable[[Request], Request]] = {
    Workaround.NO_ENCRYPTED_REASONING: _without_encrypted_reasoning,
    Workaround.NO_STORED_ITEMS: _changing_input(without_stored_items),
    Workaround.NO_USAGE: _without_usage,
    Workaround.ALTERNATING_ROLES: _changing_input(with_alternating_roles),
    Workaround.REASONING_CONTENT: _changing_input(with_reasoning_content),
}

_NAMES_FILES = re.compile(r"\b(image|picture|vision|multimodal|multi-modal|pdf|file)s?\b", re.I)

# For each workaround in order: the pattern of the server's error, and whether the request uses the
# feature.
_REFUSALS: dict[Workaround, tuple[re.Pattern[str], Callable[[Request], bool]]] = {
    Workaround.NO_ENCRYPTED_REASONING: (
        re.compile(r"encrypted.content|\binclude\b", re.I),
        lambda request: ENCRYPTED_REASONING in (request.settings.response_include or ()),
    ),
    Workaround.NO_USAGE: (
        re.compile(r"stream_options|include_usage", re.I),
        lambda request: bool(request.settings.include_usage) and not request.is_responses,
    ),
    Workaround.REASONING_CONTENT: (
        re.compile(r"reasoning_content", re.I),
        lambda request: not request.is_responses,
    ),
    Workaround.ALTERNATING_ROLES: (
        re.compile(r"\balternat|consecutive (messages|roles)|same role", re.I),
        lambda _request: True,
    ),
    Workaround.NO_STORED_ITEMS: (
        re.compile(r"\bitem\b.*(not found|not persisted)|required following item", re.I | re.S),
        lambda request: request.is_responses,
    ),
    # After any other refusal: the request may be accepted without its files.
    Workaround.NO_REFUSED_FILES: (
        re.compile(""),
        lambda request: request.has_files,
    ),
}
