"""Charts of figures that the conversation holds, drawn by ChatKit itself."""

import math
import re
from typing import Any, Literal

from agents import RunContextWrapper
from chatkit.widgets import DynamicWidgetRoot
from pydantic import BaseModel

from engine import AgentTool, DemoCall, ToolRefusal, TurnContext, agent_function

MAX_POINTS = 200
MAX_SERIES = 7  # as many colours as ChatKit tells apart
MAX_TEXT = 120
HEIGHT = 260

# What a row calls its place on the axis; its figures are called by the number of their series.
LABEL = "label"


class Series(BaseModel):
    """One row of figures: its name in the legend, and a figure for each label."""

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
    """Show the user a chart of figures from this conversation. Never draw figures you made up.

    Args:
        kind: bar compares things, line follows them over time, area does so with amounts that
            add up.
        title: What the chart shows, with the unit of its figures.
        labels: The places on the horizontal axis, in order, 2 to 200.
        series: 1 to 7 rows of figures, each with as many figures as there are labels.
    """
    if problem := _problem(title, labels, series):
        raise ToolRefusal(f"the chart was not drawn, because {problem}.")
    told = _in_words(kind, title, labels, series)
    turn.context.show(_widget(kind, title, labels, series), told)
    return f"The user sees it now. {told}"


def _problem(title: str, labels: list[str], series: list[Series]) -> str | None:
    """Why these cannot be drawn, in words for the model."""
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
            return f"{row.name!r} has {len(row.values)} figures for {len(labels)} labels"
        if not all(map(math.isfinite, row.values)):
            return f"a figure of {row.name!r} is not a finite number"
    return None


def _widget(kind: str, title: str, labels: list[str], series: list[Series]) -> DynamicWidgetRoot:
    keys = [f"series_{number}" for number, _ in enumerate(series, 1)]
    rows: list[dict[str, Any]] = [
        {LABEL: label, **dict(zip(keys, figures, strict=True))}
        for label, *figures in zip(labels, *(row.values for row in series), strict=True)
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


def _in_words(kind: str, title: str, labels: list[str], series: list[Series]) -> str:
    lines = [f"{title} ({kind} chart, {labels[0]} to {labels[-1]}, {len(labels)} points)"]
    lines += [f"{row.name}: {min(row.values):g} to {max(row.values):g}" for row in series]
    return "\n".join(lines)


def _demo(text: str) -> DemoCall | None:
    """`Draw a line chart of Mon 3, Tue 5, Wed 4` draws just that."""
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
    translations={
        "de": {
            "Chart": "Diagramm",
            "Which figures shall I draw?": "Welche Zahlen soll ich zeichnen?",
            "Draw a line chart of Mon 3, Tue 5, Wed 4": "Zeichne ein Liniendiagramm: Mo 3, Di 5, Mi 4",
            "Drawing a chart": "Diagramm wird gezeichnet",
        },
        "es": {
            "Chart": "Gráfico",
            "Which figures shall I draw?": "¿Qué cifras quiere que dibuje?",
            "Draw a line chart of Mon 3, Tue 5, Wed 4": "Dibuja un gráfico de líneas: lun 3, mar 5, mié 4",
            "Drawing a chart": "Dibujando un gráfico",
        },
        "fr": {
            "Chart": "Graphique",
            "Which figures shall I draw?": "Quels chiffres dois-je tracer ?",
            "Draw a line chart of Mon 3, Tue 5, Wed 4": "Trace une courbe : lun 3, mar 5, mer 4",
            "Drawing a chart": "Tracé d’un graphique",
        },
        "ja": {
            "Chart": "グラフ",
            "Which figures shall I draw?": "どの数値をグラフにしますか？",
            "Draw a line chart of Mon 3, Tue 5, Wed 4": "折れ線グラフを描いて: 月 3, 火 5, 水 4",
            "Drawing a chart": "グラフを作成しています",
        },
    },
    demo=_demo,
    demo_default=_demo_call("bar", {"Mon": 3, "Tue": 5, "Wed": 4}),
)
