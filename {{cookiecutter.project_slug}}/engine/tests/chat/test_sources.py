"""Citations, as the page shows them and as text."""

from typing import Any

import pytest
from agents.testing import ScriptedModel, assistant_message
from chatkit.types import Annotation, FileSource, URLSource
from openai.types.responses import ResponseOutputText
from openai.types.responses.response_output_text import AnnotationURLCitation

from engine.tests.fixtures import Scripted
from engine.tests.talk import Turn
from engine.turn.sources import sources_section


def citing(count: int) -> Any:
    annotations = [
        AnnotationURLCitation(
            type="url_citation",
            title=f"Page {n}",
            url=f"https://example.com/{n}",
            start_index=0,
            end_index=4,
        )
        for n in range(1, count + 1)
    ]
    text = ResponseOutputText(type="output_text", text="So it is.", annotations=[*annotations])
    return assistant_message("x").model_copy(update={"content": [text]})


async def answer_citing(with_model: Scripted, count: int, *, section: bool) -> tuple[Turn, Any]:
    visitor = await with_model(ScriptedModel([[citing(count)]]), sources_section=section)
    turn = await visitor.say("Is it so?")
    [stored] = [i for i in await visitor.items(turn.thread_id) if i["type"] == "assistant_message"]
    return turn, stored["content"][0]


async def test_citations_become_annotations(with_model: Scripted) -> None:
    _, content = await answer_citing(with_model, 2, section=False)

    assert content["text"] == "So it is."
    assert [a["source"]["url"] for a in content["annotations"]] == [
        "https://example.com/1",
        "https://example.com/2",
    ]


@pytest.mark.parametrize(("cited", "listed"), [(1, 1), (8, 8), (12, 8)])
async def test_the_setting_adds_a_section_of_at_most_eight(
    with_model: Scripted, cited: int, listed: int
) -> None:
    turn, content = await answer_citing(with_model, cited, section=True)

    assert content["text"].startswith("So it is.\n\n---\n\n**Sources:**\n[1] Page 1\n")
    assert content["text"].count("https://example.com/") == listed
    deltas = [
        event["update"]["delta"]
        for event in turn.events
        if event["type"] == "thread.item.updated" and "delta" in event["update"]
    ]
    assert "".join(deltas) == content["text"]


async def test_an_answer_without_citations_has_no_section(with_model: Scripted) -> None:
    _, content = await answer_citing(with_model, 0, section=True)

    assert content["text"] == "So it is."


def test_a_source_is_listed_once_and_a_file_by_its_name() -> None:
    page = Annotation(source=URLSource(title="Page", url="https://example.com"))
    file = Annotation(source=FileSource(title="Plan", filename="plan.pdf"))
    section = sources_section([page, file, page])
    assert section.endswith("[1] Page\nhttps://example.com\n\n[2] Plan\nplan.pdf")
