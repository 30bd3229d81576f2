"""Lengths and limits of messages, in characters as the model receives them."""

import json

from chatkit.types import (
    StructuredInputSubmission,
    UserMessageContent,
    UserMessageInput,
    UserMessageItem,
    UserMessageTagContent,
    UserMessageTextContent,
)


def as_json(value: object) -> str:
    """JSON for the model, without ASCII escapes, which make six characters of one."""
    return json.dumps(value, ensure_ascii=False)


def mention_text(tag: UserMessageTagContent) -> str:
    """A mention as the model receives it: its text, id and data."""
    return f"{tag.text}: {as_json({'id': tag.id, **tag.data})}"


def message_chars(message: UserMessageInput | UserMessageItem) -> int:
    """The length of the text, the quoted text and the data of mentions."""
    tags = [part for part in message.content if isinstance(part, UserMessageTagContent)]
    return (
        sum(len(part.text) for part in message.content)
        + sum(len(mention_text(tag)) for tag in tags)
        + len(message.quoted_text or "")
    )


def answer_chars(submission: StructuredInputSubmission) -> int:
    """The length of the answers to a structured input."""
    return sum(len(value) for a in submission.answers.values() for value in a.values)


def truncated(text: str, limit: int) -> str:
    """At most `limit` characters of the text; a longer one gets a notice that it was cut."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[cut: this is the beginning of {len(text)} characters]"


def shortened_message(message: UserMessageItem, limit: int) -> UserMessageItem:
    """The message with about `limit` characters at most.

    A longer message was stored when the limit was higher. Its text is kept first, then its quoted
    text; mentions are reduced to their names.
    """
    if message_chars(message) <= limit:
        return message
    text = "".join(_part_text(part) for part in message.content)
    remaining = max(0, limit - len(text))
    quoted = None
    if message.quoted_text and remaining:
        quoted = truncated(message.quoted_text, remaining)
    content = UserMessageTextContent(text=truncated(text, limit))
    return message.model_copy(update={"content": [content], "quoted_text": quoted})


def _part_text(part: UserMessageContent) -> str:
    return part.text if isinstance(part, UserMessageTextContent) else f"@{part.text}"
