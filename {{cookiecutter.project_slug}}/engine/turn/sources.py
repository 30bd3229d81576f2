"""Citations: on the marks that an answer has, and below it for those who want them in the text."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

from chatkit.types import (
    Annotation,
    AssistantMessageContent,
    AssistantMessageContentPartAnnotationAdded,
    AssistantMessageContentPartDone,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    FileSource,
    ThreadItemDoneEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
    URLSource,
)

from engine.text.locales import ENGLISH, translate

MAX_SOURCES = 8


async def with_citations(
    events: AsyncIterator[ThreadStreamEvent], cited: Mapping[str, FileSource]
) -> AsyncIterator[ThreadStreamEvent]:
    """Annotate each mark in an answer with the source that a tool found under it."""
    async for event in events:
        if isinstance(event, ThreadItemDoneEvent) and isinstance(event.item, AssistantMessageItem):
            for index, part in enumerate(event.item.content):
                found = [
                    Annotation(source=source, index=at + len(mark))
                    for mark, source in cited.items()
                    for at in _places(mark, part.text)
                ]
                added = sorted(found, key=lambda annotation: annotation.index or 0)
                for position, annotation in enumerate(added, len(part.annotations)):
                    update = AssistantMessageContentPartAnnotationAdded(
                        content_index=index, annotation_index=position, annotation=annotation
                    )
                    yield ThreadItemUpdatedEvent(item_id=event.item.id, update=update)
                annotations = [*part.annotations, *added]
                event.item.content[index] = part.model_copy(update={"annotations": annotations})
        yield event


def _places(mark: str, text: str) -> Iterator[int]:
    at = text.find(mark)
    while at >= 0:
        yield at
        at = text.find(mark, at + len(mark))


async def with_sources_section(
    events: AsyncIterator[ThreadStreamEvent], locale: str
) -> AsyncIterator[ThreadStreamEvent]:
    """Append a "Sources" section to each answer that cites something, before it is done."""
    async for event in events:
        if isinstance(event, ThreadItemDoneEvent) and isinstance(event.item, AssistantMessageItem):
            for index, part in enumerate(event.item.content):
                section = sources_section(part.annotations, locale)
                if section:
                    event.item.content[index] = part.model_copy(
                        update={"text": part.text + section}
                    )
                    for update in _updates(index, section, event.item.content[index]):
                        yield ThreadItemUpdatedEvent(item_id=event.item.id, update=update)
        yield event


def sources_section(annotations: Iterable[Annotation], locale: str = ENGLISH) -> str:
    """Markdown for the first eight different sources, or nothing."""
    lines = dict.fromkeys(
        line for annotation in annotations if (line := _line(annotation)) is not None
    )
    if not lines:
        return ""
    numbered = (f"[{n}] {line}" for n, line in enumerate(list(lines)[:MAX_SOURCES], 1))
    title = translate("Sources", locale)
    return f"\n\n---\n\n**{title}:**\n" + "\n\n".join(numbered)


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
