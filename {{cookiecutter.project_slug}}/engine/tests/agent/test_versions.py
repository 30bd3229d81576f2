"""The hashes that say which version of an agent answered."""

from dataclasses import replace

from agents import Agent, FunctionTool

from engine.tests.agent.echo import shout
from engine.tools.tool import agent_function
from engine.turn.versions import instructions_hash, tools_hash


@agent_function
async def whisper(text: str) -> str:
    """Say it softly."""
    return text


def with_tools(*tools: FunctionTool) -> str:
    return tools_hash(Agent("a", tools=list(tools)))


def test_a_changed_text_is_another_version() -> None:
    one, same, other = (Agent("a", instructions=text) for text in ("Be nice.", "Be nice.", "Be."))

    assert instructions_hash(one) == instructions_hash(same)
    assert instructions_hash(one) != instructions_hash(other)
    assert instructions_hash(Agent("a")) is None


def test_a_function_that_writes_instructions_counts_by_its_code() -> None:
    def nice(_context: object, _agent: object) -> str:
        return "Be nice."

    def nicer(_context: object, _agent: object) -> str:
        return "Be nicer."

    made = eval("lambda context, agent: 'Be nice.'")  # noqa: S307 (a function without source)

    hashes = {instructions_hash(Agent("a", instructions=one)) for one in (nice, nicer, made)}
    assert len(hashes) == 3
    assert instructions_hash(Agent("a", instructions=nice)) in hashes


def test_whatever_the_model_is_told_about_tools_counts() -> None:
    whole = with_tools(shout, whisper)

    assert with_tools(whisper, shout) == whole
    assert with_tools(shout) != whole
    for changed in (
        replace(whisper, description="Say it."),
        replace(whisper, params_json_schema={"type": "object", "properties": {}}),
        replace(whisper, name="mutter"),
    ):
        assert with_tools(shout, changed) != whole
