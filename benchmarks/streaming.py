"""Streamed turns: events a second, time to the first event, memory for an open stream."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.client import Connection, connected, new_thread
from benchmarks.results import Goal, Report, Result
from benchmarks.stage import FLOOR_SERVER, PROJECT_SERVER, Server, serving, sign_in

AT_LEAST = Goal(0.9, "at least")
AT_MOST = Goal(1.3, "at most")
FLOOR = "dict store"

# The demo model says the user's words back, one event a word.
LONG_MESSAGE = " ".join(f"word{n}" for n in range(400))

# Streams that are held open say one of their words each second.
WORD_SECONDS = 0.1
HELD_MESSAGE = "[demo:slow] " + " ".join(f"word{n}" for n in range(600))
USERS = 50
OPEN_STREAMS = (1, 100, 1000)
TOGETHER = 20
CROWDED_ROUNDS = 3


async def throughput(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    turns = 4 if quick else 12
    with (
        serving(PROJECT_SERVER, url, DEMO_DELAY_SECONDS="0") as ours,
        serving(FLOOR_SERVER, url, DEMO_DELAY_SECONDS="0") as floor,
    ):
        users = sign_in([f"throughput_{n}" for n in range(10)])
        for at_once in (1, 10):
            rates: dict[int, list[float]] = {ours.port: [], floor.port: []}
            for round_ in range(-1, rounds):
                for server in _in_turn(ours, floor, round_):
                    rate = await _events_a_second(server, users[:at_once], turns)
                    if round_ >= 0:
                        rates[server.port].append(rate)
            report(
                Result(
                    f"events/s of {'a turn' if at_once == 1 else f'{at_once} turns at once'}",
                    "/s",
                    tuple(rates[ours.port]),
                    tuple(rates[floor.port]),
                    FLOOR,
                    AT_LEAST,
                )
            )


async def _events_a_second(server: Server, users: list[dict[str, str]], turns: int) -> float:
    started = time.perf_counter()
    counts = await asyncio.gather(*(_talk(server, user, turns) for user in users))
    return sum(counts) / (time.perf_counter() - started)


async def _talk(server: Server, user: dict[str, str], turns: int) -> int:
    """Events in that many turns, each a thread of its own."""
    count = 0
    async with connected(server.port, user) as connection:
        for _ in range(turns):
            events = [e async for e in connection.stream(new_thread(LONG_MESSAGE))]
            assert b"thread.item.done" in events[-1] or b"thread.updated" in events[-1], events[-1]
            count += len(events)
    return count


async def first_event(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """Newcomers come one after another while so many streams are open and keep talking.

    Memory is what the process grew by while it opened them; each round has fresh processes.
    """
    probes = 60 if quick else 200
    users = sign_in([f"streams_{n}" for n in range(USERS)])
    crowds: dict[str, list[list[Crowd]]] = {PROJECT_SERVER: [], FLOOR_SERVER: []}
    for round_ in range(rounds):
        for target in list(crowds)[:: 1 if round_ % 2 else -1]:
            with serving(target, url, DEMO_DELAY_SECONDS=str(WORD_SECONDS)) as server:
                crowds[target].append(await _growing_crowd(server, users, probes))
    for index, open_streams in enumerate(OPEN_STREAMS):
        ours, floor = ([crowd[index] for crowd in crowds[target]] for target in crowds)
        for name, share in (("p50", 0.50), ("p99", 0.99)):
            report(
                Result(
                    f"first event, {name}, {_streams(open_streams)} open",
                    "ms",
                    tuple(crowd.milliseconds(share) for crowd in ours),
                    tuple(crowd.milliseconds(share) for crowd in floor),
                    FLOOR,
                    AT_MOST,
                )
            )
    report(
        Result(
            f"memory for an open stream, of {_streams(open_streams)}",
            "KiB",
            tuple(crowd.bytes_a_stream / 1024 for crowd in ours),
            tuple(crowd.bytes_a_stream / 1024 for crowd in floor),
            FLOOR,
        )
    )


async def processor_time(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """Seconds that the server process computes while its streams say a word a second each.

    Other work on the machine makes times longer, and this hardly.
    """
    seconds = 15.0 if quick else 60.0
    users = sign_in([f"streams_{n}" for n in range(USERS)])
    used: dict[str, list[float]] = {PROJECT_SERVER: [], FLOOR_SERVER: []}
    for round_ in range(min(rounds, CROWDED_ROUNDS)):
        for target in list(used)[:: 1 if round_ % 2 else -1]:
            with serving(target, url, DEMO_DELAY_SECONDS=str(WORD_SECONDS)) as server:
                async with AsyncExitStack() as stack:
                    await _open(stack, server, users, range(OPEN_STREAMS[-1]))
                    before = server.processor_seconds()
                    await asyncio.sleep(seconds)
                    used[target].append(server.processor_seconds() - before)
    report(
        Result(
            f"processor time of {_streams(OPEN_STREAMS[-1])} for {seconds:g} s",
            "s",
            tuple(used[PROJECT_SERVER]),
            tuple(used[FLOOR_SERVER]),
            FLOOR,
            AT_MOST,
        )
    )


@dataclass(frozen=True)
class Crowd:
    """The newcomers' seconds to the first event, the shortest first."""

    times: list[float]
    bytes_a_stream: float

    def milliseconds(self, share: float) -> float:
        return self.times[min(len(self.times) - 1, int(len(self.times) * share))] * 1000


async def _growing_crowd(server: Server, users: list[dict[str, str]], probes: int) -> list[Crowd]:
    for user in users:  # everybody has been here before, and everything is imported
        await _time_to_first_event(server, user)
    alone = server.resident_bytes()
    crowds = []
    async with AsyncExitStack() as stack:
        for already, open_streams in pairwise((0, *OPEN_STREAMS)):
            await _open(stack, server, users, range(already, open_streams))
            await asyncio.sleep(1)
            grown = server.resident_bytes() - alone
            times = []
            for probe in range(probes):
                times.append(await _time_to_first_event(server, users[probe % len(users)]))
                await asyncio.sleep(0.02)
            crowds.append(Crowd(sorted(times), grown / open_streams))
    return crowds


async def _open(
    stack: AsyncExitStack, server: Server, users: list[dict[str, str]], numbers: range
) -> None:
    """Open streams that are held until the stack ends, some at a time."""
    for first in range(numbers.start, numbers.stop, TOGETHER):
        batch = range(first, min(first + TOGETHER, numbers.stop))
        held = [_held(server, users[n % len(users)]) for n in batch]
        await asyncio.gather(*(stack.enter_async_context(one) for one in held))


@asynccontextmanager
async def _held(server: Server, user: dict[str, str]) -> AsyncIterator[None]:
    """A stream that is read by somebody until the end of the block."""
    connection = await Connection(server.port, user).open()
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in connection.stream(new_thread(HELD_MESSAGE)):
            begun.set()
        raise RuntimeError("a stream that was to be held has ended")

    task = asyncio.create_task(read())
    await asyncio.wait(
        {task, waiting := asyncio.create_task(begun.wait())}, return_when="FIRST_COMPLETED"
    )
    waiting.cancel()
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
        connection.close()


async def _time_to_first_event(server: Server, user: dict[str, str]) -> float:
    """From sending the request on an open connection; what follows is not waited for."""
    async with connected(server.port, user) as connection:
        started = time.perf_counter()
        async for _ in connection.stream(new_thread("Hello")):
            return time.perf_counter() - started
    raise RuntimeError("a stream without an event")


def _in_turn(ours: Server, floor: Server, round_: int) -> tuple[Server, Server]:
    return (ours, floor) if round_ % 2 else (floor, ours)


def _streams(number: int) -> str:
    return "1 stream" if number == 1 else f"{number:,} streams"
