"""A conversation to read, in Markdown."""

from collections.abc import Iterable, Mapping
from typing import Any

from chatkit.types import (
    AssistantMessageItem,
    GeneratedImageItem,
    StructuredInputItem,
    TaskItem,
    ThreadItem,
    UserMessageItem,
    WidgetItem,
)


def as_markdown(thread: Mapping[str, Any], items: Iterable[ThreadItem]) -> str:
    """The title, and what user and assistant said and showed, in order."""
    parts = [f"# {thread.get('title') or 'Untitled'}"]
    for item in items:
        if (said := _said(item)) is not None:
            who, text = said
            parts.append(f"**{who}** ({item.created_at:%Y-%m-%d %H:%M})\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _said(item: ThreadItem) -> tuple[str, str] | None:
    """The speaker and the text; None for items for the model and for progress."""
    match item:
        case UserMessageItem():
            quote = f"> {item.quoted_text}\n\n" if item.quoted_text else ""
            text = "".join(part.text for part in item.content)
            files = "".join(f"\n\n[{file.name}]" for file in item.attachments)
            return "User", f"{quote}{text}{files}"
        case AssistantMessageItem():
            return "Assistant", "".join(part.text for part in item.content)
        case WidgetItem():
            return "Assistant", item.copy_text or "[a widget]"
        case GeneratedImageItem():
            return "Assistant", "[a picture]"
        case StructuredInputItem():
            return "Assistant", "[questions]"
        case TaskItem():
            return "Assistant", f"[{getattr(item.task, 'title', None) or 'a task'}]"
    return None
