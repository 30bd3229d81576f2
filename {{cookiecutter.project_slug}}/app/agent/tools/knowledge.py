"""Answers from the project's own documents."""

import re

from agents import RunContextWrapper
from chatkit.types import FileSource

from engine import AgentTool, DemoCall, TurnContext, agent_function
from engine.toolkits.knowledge.rows import Found, KnowledgeSettings, KnowledgeStore

Turn = RunContextWrapper[TurnContext]


@agent_function
async def search_documents(turn: Turn, question: str) -> str:
    """Find passages of the project's own documents that answer a question.

    Each passage begins with its citation mark, such as [12:3]. Put the marks of the passages that
    you used behind the statements that they support. Say so when no passage answers the question.

    Args:
        question: The words to search for. "…" finds an exact phrase, OR finds either word, and a -
            before a word excludes it.
    """
    settings = KnowledgeSettings()
    store = KnowledgeStore(turn.context.database, settings.knowledge_language)
    found = await store.search(question, settings.knowledge_passages)
    if not found:
        return "No passage was found. Try fewer or other words."
    for passage in found:
        # The path on the server is not shown to users.
        source = FileSource(
            title=passage.title, filename=passage.title, description=passage.heading or None
        )
        turn.context.cite(_mark(passage), source)
    return "\n\n".join(map(_described, found))


def _mark(passage: Found) -> str:
    """A citation mark that stays the same, so that marks in old answers remain correct."""
    return f"[{passage.document_id}:{passage.number}]"


def _described(passage: Found) -> str:
    heading = f" ({passage.heading})" if passage.heading else ""
    return f"{_mark(passage)} {passage.title}{heading}\n{passage.text}"


def _demo(text: str) -> DemoCall | None:
    pattern = r"\b(?:documents?|handbook|manual)\b.*?\b(?:about|on|of|for)\b (.+)"
    found = re.search(pattern, text, re.I | re.S)
    return DemoCall("search_documents", {"question": found[1]}) if found else None


KNOWLEDGE = AgentTool(
    id="knowledge",
    label="Knowledge",
    icon="document",
    functions=(search_documents,),
    placeholder="Ask the documents",
    prompt="What do the documents say about returns?",
    titles={"search_documents": "Searching the documents"},
    demo=_demo,
    demo_default=DemoCall("search_documents", {"question": "introduction OR overview"}),
)
