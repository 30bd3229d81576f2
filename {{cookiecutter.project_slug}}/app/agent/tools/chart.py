"""Draws charts of numbers from the conversation with ChatKit's chart widget."""

import math
import re
from typing import Any, Literal

from agents import RunContextWrapper
from chatkit.widgets import DynamicWidgetRoot
from pydantic import BaseModel

from engine import AgentTool, DemoCall, ToolRefusal, TurnContext, agent_function

MAX_POINTS = 200
MAX_SERIES = 7  # the number of different colours in ChatKit's charts
MAX_TEXT = 120
HEIGHT = 260

# The key of a row's axis label; the keys of its values are `series_1`, `series_2`, ….
LABEL = "label"


class Series(BaseModel):
    """One data series: its name in the legend, and one value for each label."""

    name: str
    values: list[float]


@agent_function
async def draw_chart(
    turn: RunContextWrapper[TurnContext],
    kind: Literal["bar", "line", "area"],
    title: str,
    labels: list[str],
    series: list[Series],
) -> str:
    """Show the user a chart of numbers from this conversation. Never draw numbers you made up.

    Args:
        kind: bar compares things, line shows a change over time, area shows a change over time of
            amounts that add up.
        title: The subject of the chart, with the unit of its numbers.
        labels: The labels of the horizontal axis, in order, 2 to 200.
        series: 1 to 7 data series, each with exactly one number for each label.
    """
    if problem := _problem(title, labels, series):
        raise ToolRefusal(f"the chart was not drawn, because {problem}.")
    summary = _summary(kind, title, labels, series)
    turn.context.show(_widget(kind, title, labels, series), summary)
    return f"The user sees it now. {summary}"


def _problem(title: str, labels: list[str], series: list[Series]) -> str | None:
    """The reason why these cannot be drawn, written for the model; None if they can."""
    if not 2 <= len(labels) <= MAX_POINTS:
        return f"it has {len(labels)} labels, and 2 to {MAX_POINTS} are possible"
    if not 1 <= len(series) <= MAX_SERIES:
        return f"it has {len(series)} series, and 1 to {MAX_SERIES} are possible"
    names = [row.name for row in series]
    for text in (title, *labels, *names):
        if not 0 < len(text.strip()) <= MAX_TEXT:
            return f"a title, a label and a name have 1 to {MAX_TEXT} characters"
    if len(set(labels)) < len(labels) or len(set(names)) < len(names):
        return "two labels, or two names of series, are the same"
    for row in series:
        if len(row.values) != len(labels):
            return f"{row.name!r} has {len(row.values)} values for {len(labels)} labels"
        if not all(map(math.isfinite, row.values)):
            return f"a value of {row.name!r} is not a finite number"
    return None


def _widget(kind: str, title: str, labels: list[str], series: list[Series]) -> DynamicWidgetRoot:
    keys = [f"series_{number}" for number, _ in enumerate(series, 1)]
    rows: list[dict[str, Any]] = [
        {LABEL: label, **dict(zip(keys, values, strict=True))}
        for label, *values in zip(labels, *(row.values for row in series), strict=True)
    ]
    chart = {
        "type": "Chart",
        "data": rows,
        "series": [
            {"type": kind, "label": row.name, "dataKey": key}
            for key, row in zip(keys, series, strict=True)
        ],
        "xAxis": LABEL,
        "showYAxis": True,
        "showLegend": len(series) > 1,
        "showTooltip": True,
        "height": HEIGHT,
    }
    heading = {"type": "Title", "value": title, "size": "sm"}
    return DynamicWidgetRoot.model_validate(
        {"type": "Card", "size": "full", "children": [heading, chart]}
    )


def _summary(kind: str, title: str, labels: list[str], series: list[Series]) -> str:
    lines = [f"{title} ({kind} chart, {labels[0]} to {labels[-1]}, {len(labels)} points)"]
    lines += [f"{row.name}: {min(row.values):g} to {max(row.values):g}" for row in series]
    return "\n".join(lines)


def _demo(text: str) -> DemoCall | None:
    """Recognizes for example `Draw a line chart of Mon 3, Tue 5, Wed 4`."""
    if not (asked := re.search(r"\b(?:draw|chart|plot)\b", text, re.I)):
        return None
    found = re.findall(r"([^\W\d][\w-]*)[\s:=]+(-?\d+(?:\.\d+)?)", text[asked.end() :])
    kind = next((kind for kind in ("line", "area") if kind in text.lower()), "bar")
    points = dict(found) if len(found) > 1 else {"Mon": 3, "Tue": 5, "Wed": 4}
    return _demo_call(kind, {label: float(figure) for label, figure in points.items()})


def _demo_call(kind: str, points: dict[str, float]) -> DemoCall:
    row = {"name": "Figures", "values": list(points.values())}
    arguments = {"kind": kind, "title": "A demo", "labels": list(points), "series": [row]}
    return DemoCall("draw_chart", arguments)


CHART = AgentTool(
    id="chart",
    label="Chart",
    icon="chart",
    functions=(draw_chart,),
    placeholder="Which figures shall I draw?",
    prompt="Draw a line chart of Mon 3, Tue 5, Wed 4",
    titles={"draw_chart": "Drawing a chart"},
    demo=_demo,
    demo_default=_demo_call("bar", {"Mon": 3, "Tue": 5, "Wed": 4}),
)
