"""Facts about the page around the chat, which its site sets: `window.chat.setContext({ … })`."""

from collections.abc import Mapping
from typing import Any, cast

from agents import TResponseInputItem

from engine.http.errors import InvalidRequest
from engine.text.lengths import as_json

MAX_FACTS = 20
MAX_NAME = 50
MAX_VALUE = 500


def read_page_context(metadata: object) -> Mapping[str, str]:
    """The facts in a request's `metadata.page`. Raises `InvalidRequest`."""
    facts: Any = metadata.get("page") if isinstance(metadata, dict) else None
    if facts is None:
        return {}
    if not isinstance(facts, dict) or len(facts) > MAX_FACTS or not all(map(_fits, facts.items())):
        raise InvalidRequest(
            f"metadata.page: at most {MAX_FACTS} texts of {MAX_VALUE} characters are allowed."
        )
    return facts


def _fits(fact: tuple[str, object]) -> bool:
    name, value = fact
    return 0 < len(name) <= MAX_NAME and isinstance(value, str) and len(value) <= MAX_VALUE


def page_text(page: Mapping[str, str]) -> str:
    """The facts as text for the model; empty without facts."""
    return f"[The page around this chat: {as_json(dict(page))}]" if page else ""


def with_page_context(
    input: list[TResponseInputItem], page: Mapping[str, str]
) -> list[TResponseInputItem]:
    """Tell the model at the end of the newest message, which the user sent there.

    As the user's words and not as instructions: the browser may say anything. At the end, because
    the next turn says it no more: what stands before it is the beginning of the next request too.
    """
    if not page:
        return input
    part = {"type": "input_text", "text": page_text(page)}
    for index in range(len(input) - 1, -1, -1):
        message = cast("dict[str, Any]", input[index])
        if message.get("role") == "user":
            told = {**message, "content": [*_parts(message["content"]), part]}
            return [*input[:index], cast("TResponseInputItem", told), *input[index + 1 :]]
    return [{"role": "user", "content": page_text(page)}, *input]


def _parts(content: Any) -> list[Any]:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else list(content)
