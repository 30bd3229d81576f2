"""Charts: drawing, refusals, and the stored widget."""

import json
from typing import Any

import pytest
from chatkit.widgets import Card, StrictWidgetRoot
from pydantic import TypeAdapter

from engine.tests.agent.fixtures import WithServer
from engine.tests.model_server import answer, call
from engine.tests.talk import Visitor

DRAWN: dict[str, Any] = {
    "kind": "area",
    "title": "Orders in thousands",
    "labels": ["May", "June", "July"],
    "series": [
        {"name": "Berlin", "values": [1, 2.5, 3]},
        {"name": "Paris", "values": [-4, 5, 6]},
    ],
}
SUMMARY = """Orders in thousands (area chart, May to July, 3 points)
Berlin: 1 to 3
Paris: -4 to 6"""


def called(**changes: Any) -> tuple[str, str]:
    return "draw_chart", json.dumps(DRAWN | changes)


async def test_a_chart_is_shown_between_its_task_and_the_answer(visitor: Visitor) -> None:
    turn = await visitor.say("Draw a line chart of Mon 3, Tue 5, Wed -4.5")

    assert turn.story[5:10] == [
        "workflow.task.updated: Analyzing request (complete)",
        "workflow.task.added: Drawing a chart (loading)",
        "workflow.task.updated: Drawing a chart (complete)",
        "workflow done",
        "widget done",
    ]
    [item] = turn.done("widget")
    title, chart = item["widget"]["children"]
    assert title["value"] == "A demo"
    assert chart["series"] == [{"type": "line", "label": "Figures", "dataKey": "series_1"}]
    assert chart["data"] == [
        {"label": "Mon", "series_1": 3},
        {"label": "Tue", "series_1": 5},
        {"label": "Wed", "series_1": -4.5},
    ]
    assert turn.answer.startswith("The user sees it now.")


async def test_it_is_stored_and_valid_for_chatkit(
    with_server: WithServer,
) -> None:
    visitor, model = await with_server()
    model.does(call(called()), answer("There."))

    turn = await visitor.say("go")

    [stored] = [i for i in await visitor.items(turn.thread_id) if i["type"] == "widget"]
    assert stored == turn.done("widget")[0]
    card = TypeAdapter[Any](StrictWidgetRoot).validate_python(stored["widget"])
    assert isinstance(card, Card)
    assert card.model_dump(exclude_none=True) == stored["widget"]
    assert {row["type"] for row in stored["widget"]["children"][1]["series"]} == {"area"}


async def test_the_model_gets_a_summary_in_later_turns(with_server: WithServer) -> None:
    visitor, model = await with_server()
    model.does(call(called()), answer("There."))
    turn = await visitor.say("go")
    await visitor.say("and?", turn.thread_id)

    told = [str(item["content"]) for item in model.exchanges[-1].body["input"] if "role" in item]
    assert f"This was shown to the user:\n<Widget>\n{SUMMARY}\n</Widget>" in told
    assert "series_1" not in str(told)
    assert model.exchanges[-1].results == [f"The user sees it now. {SUMMARY}"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ["May"]}, "it has 1 labels, and 2 to 200 are possible"),
        ({"labels": [str(n) for n in range(201)]}, "it has 201 labels, and 2 to 200 are possible"),
        ({"series": []}, "it has 0 series, and 1 to 7 are possible"),
        ({"series": DRAWN["series"] * 4}, "it has 8 series, and 1 to 7 are possible"),
        ({"title": " "}, "a title, a label and a name have 1 to 120 characters"),
        ({"title": "x" * 121}, "a title, a label and a name have 1 to 120 characters"),
        ({"labels": ["May", "", "July"]}, "a title, a label and a name have 1 to 120 characters"),
        (
            {"labels": ["May", "May", "July"]},
            "two labels, or two names of series, are the same",
        ),
        (
            {"series": [{"name": "a", "values": [1, 2, 3]}] * 2},
            "two labels, or two names of series, are the same",
        ),
        ({"series": [{"name": "a", "values": [1, 2]}]}, "'a' has 2 values for 3 labels"),
        (
            {"series": [{"name": "a", "values": [1, 2, float("inf")]}]},
            "a value of 'a' is not a finite number",
        ),
        (
            {"series": [{"name": "a", "values": [1, 2, float("nan")]}]},
            "a value of 'a' is not a finite number",
        ),
    ],
)
async def test_an_invalid_chart_is_reported_to_the_model_and_the_user(
    with_server: WithServer, changes: dict[str, Any], reason: str
) -> None:
    visitor, model = await with_server()
    model.does(call(called(**changes)), answer("I could not."))

    turn = await visitor.say("go")

    assert model.exchanges[-1].results == [
        f"The tool failed: the chart was not drawn, because {reason}."
    ]
    assert turn.done("widget") == []
    [workflow] = turn.done("workflow")
    task = workflow["workflow"]["tasks"][1]
    assert (task["title"], task["content"]) == ("Drawing a chart", "This did not work.")
    assert turn.answer == "I could not."


async def test_an_unknown_kind_is_refused(with_server: WithServer) -> None:
    visitor, model = await with_server()
    model.does(call(called(kind="pie")), answer("I could not."))

    turn = await visitor.say("go")

    assert turn.done("widget") == []
    assert model.exchanges[-1].results[0].startswith("The tool failed: these are not its arguments")


async def test_the_chosen_tool_is_used(visitor: Visitor) -> None:
    turn = await visitor.say("hello", tool="chart")

    assert len(turn.done("widget")) == 1
