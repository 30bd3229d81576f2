"""The length of what users and pages send, in characters as the model gets it."""

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
    """JSON for the model: every character counts once, and not as an escape of six."""
    return json.dumps(value, ensure_ascii=False)


def mention_text(tag: UserMessageTagContent) -> str:
    """What the model is told of a mention, besides its name in the message."""
    return f"{tag.text}: {as_json({'id': tag.id, **tag.data})}"


def message_chars(message: UserMessageInput | UserMessageItem) -> int:
    """The length of the text, of what it quotes, and of what its mentions carry."""
    tags = [part for part in message.content if isinstance(part, UserMessageTagContent)]
    return (
        sum(len(part.text) for part in message.content)
        + sum(len(mention_text(tag)) for tag in tags)
        + len(message.quoted_text or "")
    )


def answer_chars(submission: StructuredInputSubmission) -> int:
    """The length of the answers to a structured input."""
    return sum(len(value) for a in submission.answers.values() for value in a.values)


def cut(text: str, most: int) -> str:
    """The beginning of a text that is longer, and a notice that it is one."""
    if len(text) <= most:
        return text
    return f"{text[:most]}\n[cut: this is the beginning of {len(text)} characters]"


def shortened_message(message: UserMessageItem, most: int) -> UserMessageItem:
    """The message with at most about `most` characters. One that is longer was stored before the
    limit was what it is now: its text comes first, then what it quotes; mentions keep their names.
    """
    if message_chars(message) <= most:
        return message
    text = "".join(_shown(part) for part in message.content)
    room = max(0, most - len(text))
    quoted = cut(message.quoted_text, room) if message.quoted_text and room else None
    content = UserMessageTextContent(text=cut(text, most))
    return message.model_copy(update={"content": [content], "quoted_text": quoted})


def _shown(part: UserMessageContent) -> str:
    return part.text if isinstance(part, UserMessageTextContent) else f"@{part.text}"
