"""Citations below an answer, for those who want them in the text."""

from collections.abc import AsyncIterator, Iterable

from chatkit.types import (
    Annotation,
    AssistantMessageContent,
    AssistantMessageContentPartDone,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    FileSource,
    ThreadItemDoneEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
    URLSource,
)

MAX_SOURCES = 8


async def with_sources_section(
    events: AsyncIterator[ThreadStreamEvent],
) -> AsyncIterator[ThreadStreamEvent]:
    """Append a "Sources" section to each answer that cites something, before it is done."""
    async for event in events:
        if isinstance(event, ThreadItemDoneEvent) and isinstance(event.item, AssistantMessageItem):
            for index, part in enumerate(event.item.content):
                section = sources_section(part.annotations)
                if section:
                    event.item.content[index] = part.model_copy(
                        update={"text": part.text + section}
                    )
                    for update in _updates(index, section, event.item.content[index]):
                        yield ThreadItemUpdatedEvent(item_id=event.item.id, update=update)
        yield event


def sources_section(annotations: Iterable[Annotation]) -> str:
    """Markdown for the first eight different sources, or nothing."""
    lines = dict.fromkeys(
        line for annotation in annotations if (line := _line(annotation)) is not None
    )
    if not lines:
        return ""
    numbered = (f"[{n}] {line}" for n, line in enumerate(list(lines)[:MAX_SOURCES], 1))
    return "\n\n---\n\n**Sources:**\n" + "\n\n".join(numbered)


def _line(annotation: Annotation) -> str | None:
    match annotation.source:
        case URLSource(title=title, url=url):
            return f"{title}\n{url}"
        case FileSource(title=title, filename=filename):
            return f"{title}\n{filename}"
    return None


def _updates(
    index: int, section: str, content: AssistantMessageContent
) -> tuple[AssistantMessageContentPartTextDelta, AssistantMessageContentPartDone]:
    return (
        AssistantMessageContentPartTextDelta(content_index=index, delta=section),
        AssistantMessageContentPartDone(content_index=index, content=content),
    )
