"""Features that a model's server refuses, and how a request does without them.

Servers that speak OpenAI's API differ in what they know of it. Where one refuses a request for
something that can be left out or said in another way, the request is made again so, and the
process remembers it for as long as it lives.
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

from engine.models.boundary.failures import ModelFailure, Reason, reason_of, words_of
from engine.models.boundary.inputs import (
    REPLAYED,
    with_alternating_roles,
    with_mentions,
    with_reasoning_content,
    without_stored_items,
)

ENCRYPTED_REASONING = "reasoning.encrypted_content"
MAX_KNOWN_FILES = 10_000


class Concession(Enum):
    """One thing that is done otherwise for a server."""

    NO_ENCRYPTED_REASONING = auto()
    NO_STORED_ITEMS = auto()
    NO_USAGE = auto()
    ALTERNATING_ROLES = auto()
    REASONING_CONTENT = auto()
    NOT_THESE_FILES = auto()


@dataclass(frozen=True)
class Request:
    """The parts of a request to the model that differ between servers.

    `digests` are of the files in the input, by the identity of their parts: a file may be megabytes
    and is read once. Those that are `left_out` are mentioned instead.
    """

    input: list[TResponseInputItem]
    settings: ModelSettings
    is_responses: bool
    digests: Mapping[int, str]
    left_out: frozenset[str] = frozenset()

    @property
    def has_files(self) -> bool:
        return not self.left_out.issuperset(self.digests.values())


Tried = frozenset[Concession]


class Learned:
    """Features and files that one model's server has refused.

    Of files, the newest `MAX_KNOWN_FILES` are known: one that is refused says nothing of others.
    """

    def __init__(self) -> None:
        self.concessions: set[Concession] = set()
        self._files: OrderedDict[str, bool] = OrderedDict()

    def applied(self, request: Request, tried: Tried = frozenset()) -> Request:
        """The request as the server takes it, with those that are only being tried."""
        for concession, change in _CHANGES.items():
            if concession in self.concessions or concession in tried:
                request = change(request)
        # In a trial, a file that the server never took counts as refused.
        unknown = Concession.NOT_THESE_FILES not in tried
        left_out = frozenset(
            file for file in request.digests.values() if not self._files.get(file, unknown)
        )
        if not left_out:
            return request
        refused = {part for part, file in request.digests.items() if file in left_out}
        items = with_mentions(request.input, refused)
        return replace(request, input=items, left_out=left_out)

    def concession_for(self, error: Exception, request: Request, tried: Tried) -> Concession | None:
        """The concession to try after this error; None if the error names nothing to change."""
        if not _is_refusal(error):
            return None
        said = words_of(error)
        for concession, (pattern, is_asked) in _REFUSALS.items():
            if concession in self.concessions or concession in tried or not is_asked(request):
                continue
            if pattern.search(said):
                return concession
        return None

    def keep(self, tried: Tried, sent: Request) -> None:
        """The request went through like this."""
        self.concessions |= tried - {Concession.NOT_THESE_FILES}
        for file in sent.digests.values():
            self._files[file] = file not in sent.left_out
            self._files.move_to_end(file)
        while len(self._files) > MAX_KNOWN_FILES:
            self._files.popitem(last=False)


def replays_reasoning(context: ReasoningContentReplayContext) -> bool:
    """For the Agents SDK: True for a thought that goes back with its calls."""
    return REPLAYED in context.reasoning.provider_data or default_should_replay_reasoning_content(
        context
    )


def _is_refusal(error: Exception) -> bool:
    """True where another request may fare better than the same one again."""
    if isinstance(error, openai.APIStatusError) and error.status_code >= 500:
        return _NAMES_FILES.search(words_of(error)) is not None
    if not isinstance(error, openai.APIError | ModelFailure):
        return False
    return reason_of(error) in (Reason.UNKNOWN, Reason.BROKE_OFF, Reason.NO_SUCH_MODEL, None)


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


_CHANGES: dict[Concession, Callable[[Request], Request]] = {
    Concession.NO_ENCRYPTED_REASONING: _without_encrypted_reasoning,
    Concession.NO_STORED_ITEMS: _changing_input(without_stored_items),
    Concession.NO_USAGE: _without_usage,
    Concession.ALTERNATING_ROLES: _changing_input(with_alternating_roles),
    Concession.REASONING_CONTENT: _changing_input(with_reasoning_content),
}

_NAMES_FILES = re.compile(r"\b(image|picture|vision|multimodal|multi-modal|pdf|file)s?\b", re.I)

# By what a server's words name it, and whether the request asks for it at all. In this order.
_REFUSALS: dict[Concession, tuple[re.Pattern[str], Callable[[Request], bool]]] = {
    Concession.NO_ENCRYPTED_REASONING: (
        re.compile(r"encrypted.content|\binclude\b", re.I),
        lambda request: ENCRYPTED_REASONING in (request.settings.response_include or ()),
    ),
    Concession.NO_USAGE: (
        re.compile(r"stream_options|include_usage", re.I),
        lambda request: bool(request.settings.include_usage) and not request.is_responses,
    ),
    Concession.REASONING_CONTENT: (
        re.compile(r"reasoning_content", re.I),
        lambda request: not request.is_responses,
    ),
    Concession.ALTERNATING_ROLES: (
        re.compile(r"\balternat|consecutive (messages|roles)|same role", re.I),
        lambda _request: True,
    ),
    Concession.NO_STORED_ITEMS: (
        re.compile(r"\bitem\b.*(not found|not persisted)|required following item", re.I | re.S),
        lambda request: request.is_responses,
    ),
    # Whatever the words are: without its files, the request may be taken.
    Concession.NOT_THESE_FILES: (
        re.compile(""),
        lambda request: request.has_files,
    ),
}
