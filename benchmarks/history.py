"""Pages of history, compared with the specification's sketch and with a thousandth of the data."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.client import Connection, connected
from benchmarks.data import HEAVY_USER, Data, load, load_sketch
from benchmarks.results import Goal, Report, Result
from benchmarks.stage import (
    PROJECT_SERVER,
    RIVAL_SERVER,
    Server,
    serving,
    sign_in,
    sign_in_at_rival,
)

FEW_THREADS = 1_000
MANY_THREADS = int(os.environ.get("BENCH_THREADS", "1000000"))
QUICK_THREADS = 20_000
CONNECTIONS = 8
PAGE = 20

Request = dict[str, Any]
PageOf = Callable[[Data, float], Request]


def thread_pages(after: str | None = None) -> Request:
    return {"type": "threads.list", "params": {"limit": PAGE, "order": "desc", "after": after}}


def item_pages(thread: str, after: str | None = None) -> Request:
    params = {"thread_id": thread, "limit": PAGE, "order": "desc", "after": after}
    return {"type": "items.list", "params": params}


def one_thread(thread: str) -> Request:
    return {"type": "threads.get_by_id", "params": {"thread_id": thread}}


PAGES: dict[str, PageOf] = {
    "first page of threads": lambda data, depth: thread_pages(),
    "deep page of threads": lambda data, depth: thread_pages(data.thread_at(depth)),
    "first page of items": lambda data, depth: item_pages(data.long_thread),
    "deep page of items": lambda data, depth: item_pages(data.long_thread, data.item_at(depth)),
}


async def requests(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """Requests a second over eight connections, compared with the rival on the same rows."""
    seconds = 1.0 if quick else 3.0
    data = await load(url, FEW_THREADS)
    await load_sketch(data.url)
    [us] = sign_in([HEAVY_USER])
    them = sign_in_at_rival(0)
    with serving(PROJECT_SERVER, data.url) as ours, serving(RIVAL_SERVER, data.url) as rival:
        for name, request in (
            ("threads.list", thread_pages()),
            ("items.list", item_pages(data.long_thread)),
            ("threads.get_by_id", one_thread(data.long_thread)),
        ):
            answers = [await _answer(ours, us, request), await _answer(rival, them, request)]
            assert _ids(answers[0]) == _ids(answers[1])
            assert len(_ids(answers[0])) == PAGE
            ours_rates, rival_rates = [], []
            for _ in range(rounds):
                ours_rates.append(await requests_a_second(ours, us, request, seconds))
                rival_rates.append(await requests_a_second(rival, them, request, seconds))
            report(
                Result(
                    f"{name}, requests/s",
                    "/s",
                    tuple(ours_rates),
                    tuple(rival_rates),
                    "the sketch",
                    Goal(3, "at least"),
                )
            )


async def requests_a_second(
    server: Server, user: dict[str, str], request: Request, seconds: float
) -> float:
    connections = [await Connection(server.port, user).open() for _ in range(CONNECTIONS)]
    body = json.dumps(request).encode()

    started = time.perf_counter()
    end = started + seconds
    counts = await asyncio.gather(*(_ask_until(c, body, end) for c in connections))
    elapsed = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return sum(counts) / elapsed


async def _ask_until(connection: Connection, body: bytes, end: float) -> int:
    count = 0
    while time.perf_counter() < end:
        await connection.ask_raw(body)
        count += 1
    return count


async def _answer(server: Server, user: dict[str, str], request: Request) -> Any:
    async with connected(server.port, user) as connection:
        return await connection.ask(request)


def _ids(answer: dict[str, Any]) -> list[str]:
    page = answer.get("items") or answer
    return [row["id"] for row in page["data"]]


async def size(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """Milliseconds for a page, one request at a time, in a large database and in a small one."""
    count = 60 if quick else 300
    few = await load(url, FEW_THREADS)
    many = await load(url, QUICK_THREADS if quick else MANY_THREADS)
    [us] = sign_in([HEAVY_USER])
    with serving(PROJECT_SERVER, many.url) as large, serving(PROJECT_SERVER, few.url) as small:
        for name, page_of in PAGES.items():
            times: dict[int, list[float]] = {large.port: [], small.port: []}
            for round_ in range(rounds):
                # A different page each time, at 80 to 99 % of the list.
                depths = [0.80 + 0.19 * ((n * 0.618 + round_ / 7) % 1) for n in range(count)]
                for server, data in ((large, many), (small, few)):
                    pages = [page_of(data, depth) for depth in depths]
                    times[server.port].append(await _milliseconds(server, us, pages))
            report(
                Result(
                    f"{name}, {many.threads:,} threads",
                    "ms",
                    tuple(times[large.port]),
                    tuple(times[small.port]),
                    f"with {few.threads:,}",
                    Goal(1.5, "at most"),
                )
            )


async def _milliseconds(server: Server, user: dict[str, str], pages: list[Request]) -> float:
    times = []
    async with connected(server.port, user) as connection:
        for page in pages:
            started = time.perf_counter()
            answer = await connection.ask(page)
            times.append(time.perf_counter() - started)
            assert answer["data"], page
    return median(times) * 1000
