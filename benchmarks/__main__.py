"""`make bench`: compares a generated project with its baselines in one run.

    make bench                                       everything
    make bench ARGS=--quick                          fewer rounds, less data
    make bench ARGS="--only throughput --only start" some of it

Prints a line for each result. A complete run also writes results.json, the picture and the table in
docs/speed.md. The exit status is 1 if a ratio misses its goal in every round.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import cache, history, options, page, start, streaming, turn, writing
from benchmarks.results import Result, line, markdown, plot
from benchmarks.stage import (
    allow_many_files,
    create_database,
    postgres,
    render_project,
)

HERE = Path(__file__).resolve().parent
ROUNDS, QUICK_ROUNDS = 5, 3

BENCHMARKS: dict[str, Callable[..., Awaitable[None]]] = {
    "start": start.ready,
    "page": page.first_options,
    "launcher": page.launcher,
    "statements": turn.statements,
    "cache": cache.conversation,
    "requests": history.requests,
    "throughput": streaming.throughput,
    "first-event": streaming.first_event,
    "processor-time": streaming.processor_time,
    "write-ahead-log": writing.write_ahead_log,
    "claim": writing.claim,
    "row-security": options.row_security,
    "pooler": options.pooler,
    "size": history.size,
}
# They share a database, and leave their threads in it.
IN_TURNS_DATABASE = {"throughput", "first-event", "processor-time", "write-ahead-log"}


def main() -> int:
    arguments = _arguments()
    allow_many_files()
    render_project()
    with postgres() as url:
        results = asyncio.run(_run(url, arguments))
    if not arguments.quick and not arguments.only:
        _write(results)
    missed = [result.name for result in results if result.verdict == "missed"]
    if missed:
        print(f"\nmissed in every round: {', '.join(missed)}")
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, less data")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="may be repeated")
    parser.add_argument("--rounds", type=int)
    return parser.parse_args()


async def _run(url: str, arguments: argparse.Namespace) -> list[Result]:
    results: list[Result] = []

    def report(result: Result) -> None:
        results.append(result)
        print(line(result), flush=True)

    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    turns = await create_database(url, "turns", "bench_turns_now")
    for name in arguments.only or BENCHMARKS:
        started = time.monotonic()
        print(f"\n{name}", flush=True)
        where = turns if name in IN_TURNS_DATABASE else url
        await BENCHMARKS[name](where, report, rounds=rounds, quick=arguments.quick)
        print(f"({time.monotonic() - started:.0f} s)", flush=True)
    return results


def _write(results: list[Result]) -> None:
    machine = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
    }
    document = {"machine": machine, "results": [result.as_json() for result in results]}
    (HERE / "results.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    docs = HERE.parent / "docs"
    (docs / "pictures" / "speed.svg").write_text(plot(results), "utf-8")
    page = docs / "speed.md"
    before, start_mark, rest = page.read_text("utf-8").partition("<!-- results -->\n")
    _, end_mark, after = rest.partition("<!-- end of results -->\n")
    said = (
        "![Each ratio beside its goal](pictures/speed.svg)\n\n"
        f"Python {machine['python']}, {machine['processors']} processors, {machine['system']}.\n\n"
        f"{markdown(results)}\n"
    )
    page.write_text(before + start_mark + said + end_mark + after, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
