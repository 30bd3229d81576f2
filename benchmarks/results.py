"""Results: ratios to the baselines with their spread, as a table, JSON and a plot."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from statistics import median
from typing import Any, Literal

Verdict = Literal["holds", "within its spread", "missed", "stated"]


@dataclass(frozen=True)
class Goal:
    ratio: float
    kind: Literal["at least", "at most"]

    def __str__(self) -> str:
        return f"{'≥' if self.kind == 'at least' else '≤'} {self.ratio:g}"

    def is_met_by(self, ratio: float) -> bool:
        return ratio >= self.ratio if self.kind == "at least" else ratio <= self.ratio


@dataclass(frozen=True)
class Result:
    """One line of the table: a value of the project and of its baseline in each round.

    Each round measures both directly after each other, so that changes of the machine's speed affect
    both. Ratios are calculated for each round.
    """

    name: str
    unit: str
    ours: tuple[float, ...]
    floor: tuple[float, ...]
    floor_name: str
    goal: Goal | None = None

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(our / floor for our, floor in zip(self.ours, self.floor, strict=True))

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def verdict(self) -> Verdict:
        if self.goal is None:
            return "stated"
        if self.goal.is_met_by(self.ratio):
            return "holds"
        if any(self.goal.is_met_by(ratio) for ratio in self.ratios):
            return "within its spread"
        return "missed"

    def cells(self) -> tuple[str, ...]:
        ours, floor = f"{_short(median(self.ours))} {self.unit}", _short(median(self.floor))
        spread = f"{self.ratio:.2f} ({min(self.ratios):.2f}–{max(self.ratios):.2f})"
        goal = str(self.goal) if self.goal else ""
        return (self.name, ours, f"{floor} {self.floor_name}", spread, goal, self.verdict)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": list(self.ours),
            "floor": list(self.floor),
            "floor_name": self.floor_name,
            "ratio": self.ratio,
            "ratio_min": min(self.ratios),
            "ratio_max": max(self.ratios),
            "goal": str(self.goal) if self.goal else None,
            "verdict": self.verdict,
        }


Report = Callable[[Result], None]

HEADER = ("what", "here", "beside", "ratio (spread)", "goal", "")


def markdown(results: list[Result]) -> str:
    rows = [HEADER, ("---",) * len(HEADER), *(result.cells() for result in results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def line(result: Result) -> str:
    name, ours, floor, ratio, goal, verdict = result.cells()
    return f"{name:<52} {ours:>16}  {floor:<24} {ratio:<20} {goal:<7} {verdict}"


WIDTH, LEFT, ROW, TOP = 860, 360, 26, 44
COLOURS = {"holds": "#2563eb", "within its spread": "#d97706", "missed": "#dc2626"}


def plot(results: list[Result]) -> str:
    """An SVG that compares each ratio with its goal, which is the line in the middle.

    To the right is better, for rates and for times. The bar ends at the median and the whisker spans
    the rounds. The scale is logarithmic, from a quarter of the goal to four times the goal.
    """
    shown = [result for result in results if result.goal is not None]
    height = TOP + ROW * len(shown) + 40
    middle, reach = LEFT + (WIDTH - LEFT - 90) / 2, (WIDTH - LEFT - 90) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" fill="#6b7280">worse than the goal</text>',
        f'<text x="{middle + reach}" y="20" fill="#6b7280" text-anchor="end">better</text>',
    ]
    for factor in (0.25, 0.5, 1, 2, 4):
        x = middle + reach * _place(factor)
        colour, width = ("#111827", 1.5) if factor == 1 else ("#e5e7eb", 1)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 14}" y2="{height - 34}" '
            f'stroke="{colour}" stroke-width="{width}"/>'
            f'<text x="{x:.1f}" y="{height - 16}" fill="#6b7280" text-anchor="middle">'
            f"{'the goal' if factor == 1 else f'{factor:g}×'}</text>"
        )
    for index, result in enumerate(shown):
        y = TOP + ROW * index
        low, mid, high = (
            middle + reach * _place(_goodness(result, ratio))
            for ratio in (min(result.ratios), result.ratio, max(result.ratios))
        )
        colour = COLOURS[result.verdict]
        parts.append(
            f'<text x="{LEFT - 12}" y="{y + 4}" fill="#111827" text-anchor="end">'
            f"{result.name}</text>"
            f'<rect x="{min(middle, mid):.1f}" y="{y - 7}" width="{abs(mid - middle):.1f}" '
            f'height="14" rx="3" fill="{colour}" fill-opacity="0.75"/>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="#111827"/>'
            f'<text x="{WIDTH - 78}" y="{y + 4}" fill="#111827">'
            f"{result.ratio:.2f} ({result.goal})</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def _goodness(result: Result, ratio: float) -> float:
    assert result.goal is not None
    return (
        ratio / result.goal.ratio if result.goal.kind == "at least" else result.goal.ratio / ratio
    )


def _place(factor: float) -> float:
    """-1 at a quarter, 0 at the goal, 1 at four times."""
    return max(-1.0, min(1.0, log(factor, 4)))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
