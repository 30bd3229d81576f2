"""OpenTelemetry, an extra that only the environment of these tests has, and the dashboard."""

import json
import subprocess
import sys
from typing import Any

import promql_parser
import pytest
from conftest import TEMPLATE, Bake, clean_environment
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

DASHBOARD = TEMPLATE / "docs" / "dashboard.json"


@pytest.mark.long
def test_with_the_extra_nothing_is_exported_that_people_said(bake: Bake) -> None:
    arguments = ("-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "engine/tests/telemetry"],
        cwd=bake().path,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def test_grafanas_own_types_take_the_dashboard() -> None:
    register_default_plugins()
    given = dashboard()

    model = json.loads(json.dumps(Dashboard.from_json(given).to_json(), cls=JSONEncoder))

    assert lost(given, model) == []


def lost(given: Any, kept: Any, place: str = "") -> list[str]:
    """The places of what Grafana's types do not know."""
    if isinstance(given, dict):
        gone = [f"{place}.{name}" for name in given if name not in kept]
        below = [lost(given[name], kept[name], f"{place}.{name}") for name in given if name in kept]
        return [*gone, *(one for found in below for one in found)]
    if isinstance(given, list):
        pairs = enumerate(zip(given, kept, strict=True))
        return [one for at, pair in pairs for one in lost(*pair, f"{place}[{at}]")]
    return [] if given == kept else [place]


@pytest.mark.parametrize("panel", dashboard()["panels"], ids=lambda panel: panel["title"])
def test_each_query_is_promql(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*")
        promql_parser.parse(query)


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in dashboard()["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
