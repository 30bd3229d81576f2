"""A load test with injected failures: `python -m engine.tests.soak --turns 1000 --seed 7`.

Several workers share a database of their own, and many users send messages at once. Meanwhile
workers and database are killed, stopped and frozen, and clients disconnect, as the seed decides.
At the end everything runs again, and the stored rows are compared with the clients' responses.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2
from sqlalchemy import func, select

from dev.postgres import Postgres
from engine.auth.credentials import sample_credentials
from engine.database.database import EVERYBODY, Database
from engine.database.rows import RunRow
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.fixtures import isolated_settings, shared_limits
from engine.tests.invariant import SentMessage, Violation, violations
from engine.tests.talk import is_text, message, streamed
from engine.tests.test_database_faults import children_of, postmaster_of
from engine.tests.workers import Worker
from engine.tools.toolset import Toolset

# The time limit for one turn, and for all runs to end after the last turn.
TURN_SECONDS = 120.0
SETTLE_SECONDS = 90.0
PROGRESS_SECONDS = 10.0

# The actions of users, the suffixes of their messages, and the injected faults, with weights.
ACTIONS = {
    "reads the answer": 34,
    "disconnects": 14,
    "leaves": 12,
    "stops": 12,
    "sends a second message": 8,
    "repeats the request": 8,
    "retries": 10,
    "deletes": 2,
}
SUFFIXES = {"": 80, "[demo:break]": 6, "[demo:fail]": 4, "tool": 10}
FAULTS = {
    "kill worker": 6,
    "stop worker": 4,
    "freeze worker": 1,
    "stop database": 3,
    "kill database": 4,
    "crash database": 3,
    "freeze database": 1,
}
TURNS_BETWEEN_FAULTS = (12, 30)
LONG_OUTAGE_SECONDS = (12.0, 18.0)
FREEZE_SECONDS = (11.0, 16.0)


@dataclass(frozen=True)
class Turn:
    number: int
    user: int
    action: str
    words: int
    new_thread: bool
    worker: int
    suffix: str


@dataclass(frozen=True)
class Fault:
    at_turn: int
    kind: str
    worker: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """The turns and the faults of a test. The same seed makes the same plan."""

    seed: int
    users: int
    workers: int
    turns: tuple[Turn, ...]
    faults: tuple[Fault, ...]


def make_plan(
    turns: int, seed: int, *, users: int = 16, workers: int = 2, faults: Sequence[str] = ()
) -> Plan:
    """A plan with random faults, or with the given ones at even distances."""
    rng = Random(seed)
    return Plan(
        seed,
        users,
        workers,
        tuple(_turn(rng, number, users, workers) for number in range(turns)),
        tuple(
            Fault(turns * (index + 1) // (len(faults) + 1), kind, index % workers, 0.5)
            for index, kind in enumerate(faults)
        )
        if faults
        else tuple(_faults(rng, turns, workers)),
    )


def _turn(rng: Random, number: int, users: int, workers: int) -> Turn:
    return Turn(
        number,
        user=rng.randrange(users),
        action=_choice(rng, ACTIONS),
        words=rng.choice((0, 0, 1, 2, 3, 5, 8, 13, 21, 30)),
        new_thread=rng.random() < 0.4,
        worker=rng.randrange(workers),
        suffix=_choice(rng, SUFFIXES),
    )


def _faults(rng: Random, turns: int, workers: int) -> Iterator[Fault]:
    at_turn = 0
    while (at_turn := at_turn + rng.randint(*TURNS_BETWEEN_FAULTS)) < turns:
        kind = _choice(rng, FAULTS)
        seconds = rng.uniform(0.0, 3.0)
        if kind == "freeze worker":
            seconds = rng.uniform(*FREEZE_SECONDS)
        elif kind.endswith("database") and rng.random() < 0.15:
            seconds = rng.uniform(*LONG_OUTAGE_SECONDS)
        yield Fault(at_turn, kind, rng.randrange(workers), seconds)


def _choice(rng: Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


@dataclass
class Report:
    """The result of a test. `unexpected` are responses that no client should receive."""

    events: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    unexpected: list[Violation] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    seconds: float = 0.0


class Cluster:
    """The workers and their database, with the faults that can be injected into them."""

    def __init__(self, postgres: Postgres, workers: list[Worker]) -> None:
        self.postgres = postgres
        self.workers = workers
        self._database_lock = asyncio.Lock()
        self._worker_locks = [asyncio.Lock() for _ in workers]
        self._faults: dict[str, Callable[[Fault], Awaitable[None]]] = {
            "kill worker": self._kill_worker,
            "stop worker": self._stop_worker,
            "freeze worker": self._freeze_worker,
            "stop database": self._stop_database,
            "kill database": self._kill_database,
            "crash database": self._crash_database,
            "freeze database": self._freeze_database,
        }

    async def inject(self, fault: Fault) -> None:
        """Cause a fault and repair it. Faults of one worker or of the database do not overlap."""
        is_worker = fault.kind.endswith("worker")
        async with self._worker_locks[fault.worker] if is_worker else self._database_lock:
            await self._faults[fault.kind](fault)

    async def _kill_worker(self, fault: Fault) -> None:
        worker = self.workers[fault.worker]
        worker.kill()
        await worker.wait()
        await asyncio.sleep(fault.seconds)
        await worker.start()

    async def _stop_worker(self, fault: Fault) -> None:
        worker = self.workers[fault.worker]
        worker.terminate()
        await worker.wait(90)
        await asyncio.sleep(fault.seconds)
        await worker.start()

    async def _freeze_worker(self, fault: Fault) -> None:
        """Freeze a worker for so long that the others close its runs."""
        worker = self.workers[fault.worker]
        os.killpg(worker.pid, signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        os.killpg(worker.pid, signal.SIGCONT)

    async def _stop_database(self, fault: Fault) -> None:
        await asyncio.to_thread(self.postgres.stop)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(self.postgres.start)

    async def _kill_database(self, fault: Fault) -> None:
        self._signal_database(signal.SIGKILL)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(self.postgres.start)

    async def _crash_database(self, fault: Fault) -> None:
        """Kill one process of the server, which then ends the others and restarts."""
        children = children_of(self.postgres)
        os.kill(children[int(fault.seconds * 1000) % len(children)], signal.SIGKILL)
        await asyncio.sleep(fault.seconds)

    async def _freeze_database(self, fault: Fault) -> None:
        self._signal_database(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        self._signal_database(signal.SIGCONT)

    def _signal_database(self, number: signal.Signals) -> None:
        for pid in [postmaster_of(self.postgres), *children_of(self.postgres)]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class SoakUser:
    """One user, whose turns follow one another, with the responses received so far."""

    def __init__(self, user_id: str, credentials: dict[str, str], soak: "Soak") -> None:
        self.id = user_id
        self._credentials = credentials
        self._soak = soak
        self._cluster = soak.cluster
        self._report = soak.report
        self._threads: list[str] = []

    async def take(self, turn: Turn) -> None:
        timeout = httpx2.Timeout(30, connect=5)
        async with httpx2.AsyncClient(headers=self._credentials, timeout=timeout) as client:
            self._client = client
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    outcome = await self._take(turn)
            except TimeoutError:
                outcome = "timed out"
        self._report.outcomes[outcome] += 1

    async def _take(self, turn: Turn) -> str:
        if turn.action == "retries":
            return await self._retry(turn)
        sent = self._soak.write(self, turn)
        body = self._body(turn, sent)
        if turn.action == "repeats the request":
            outcomes = await asyncio.gather(
                self._send_until_settled(turn, sent, body),
                self._send_until_settled(turn, sent, body, 1),
            )
            if outcomes.count("answered") > 1:
                self._unexpected("two answers to one request", sent.text)
            return outcomes[0]
        return await self._send_until_settled(turn, sent, body)

    def _body(self, turn: Turn, sent: SentMessage) -> dict[str, Any]:
        content = message(sent.text, self._soak.tool if turn.suffix == "tool" else None)
        if turn.new_thread or not self._threads:
            return {"type": "threads.create", "params": {"input": content}}
        sent.thread_id = self._threads[turn.words % len(self._threads)]
        params = {"thread_id": sent.thread_id, "input": content}
        return {"type": "threads.add_user_message", "params": params}

    async def _retry(self, turn: Turn) -> str:
        """Retry the last message of one of the threads."""
        if not self._threads:
            return "nothing to retry"
        thread_id = self._threads[turn.words % len(self._threads)]
        params = {"thread_id": thread_id, "order": "desc", "limit": 100}
        listed = await self._post_until_answered(
            turn, "/chatkit", {"type": "items.list", "params": params}
        )
        asked = [i for i in listed.json()["data"] if i["type"] == "user_message"]
        sent = self._soak.find(self, asked[0]["content"][0]["text"]) if asked else None
        if sent is None:
            return "nothing to retry"
        params = {"thread_id": thread_id, "item_id": asked[0]["id"]}
        body = {"type": "threads.retry_after_item", "params": params}
        return await self._send_until_settled(turn, sent, body)

    async def _send_until_settled(
        self, turn: Turn, sent: SentMessage, body: dict[str, Any], worker: int = 0
    ) -> str:
        """Send a request until it is answered, finally refused, or known to have arrived."""
        headers = {"Idempotency-Key": f"turn-{turn.number}"}
        while True:
            worker += 1
            url = f"{self._url(turn, worker)}/chatkit"
            is_retry = body["type"] == "threads.retry_after_item"
            try:
                async with self._client.stream("POST", url, json=body, headers=headers) as response:
                    if response.status_code == 200:
                        outcome = await self._follow(turn, sent, response)
                        if sent.acknowledged or is_retry or outcome in ("disconnected", "deleted"):
                            return outcome
                    else:
                        await response.aread()
                        if (final := self._refused(sent, response)) is not None:
                            return final
            except httpx2.TransportError as error:
                self._report.events[f"client: {type(error).__name__}"] += 1
                if sent.acknowledged and not is_retry:
                    return "connection lost"
            await asyncio.sleep(0.3)

    def _refused(self, sent: SentMessage, response: httpx2.Response) -> str | None:
        """The outcome of a refused request, or None if it is to be sent again."""
        code = response.json()["error"]["code"]
        self._report.events[f"client: {response.status_code} {code}"] += 1
        match code:
            case "repeated_request":
                sent.acknowledged = True
                thread_id = response.json()["error"]["thread_id"]
                if sent.thread_id not in (None, thread_id):
                    self._unexpected(
                        "a repeated request has another thread", f"{sent.text!r}: {thread_id}"
                    )
                self._record_thread(sent, thread_id)
                return "already received"
            case (
                "run_in_progress"
                | "too_many_answers"
                | "unavailable"
                | "database_unavailable"
                | "server_busy"
            ):
                return None
            case "not_found" if sent.deleted:
                return "deleted"
        self._unexpected(
            "an unexpected refusal", f"{response.status_code} {response.text} to {sent.text!r}"
        )
        return "refused"

    async def _follow(self, turn: Turn, sent: SentMessage, response: httpx2.Response) -> str:
        """Read the answer to its end, and perform the action of the turn after `turn.words` deltas."""
        run_id = response.headers["x-run-id"]
        words, acted, failed = turn.words, False, False
        async for event in streamed(response):
            match event:
                case {"type": "thread.created"}:
                    self._record_thread(sent, event["thread"]["id"], acknowledged=False)
                case {"type": "thread.item.done", "item": {"type": "user_message"}}:
                    sent.acknowledged = True
                    self._record_thread(sent, event["item"]["thread_id"])
                case {"type": "error"}:
                    sent.failure_seen = failed = True
            words -= is_text(event)
            if words <= 0 and not acted:
                acted = True
                if (outcome := await self._act(turn, sent, run_id)) is not None:
                    return outcome
        return "failed" if failed else "answered"

    async def _act(self, turn: Turn, sent: SentMessage, run_id: str) -> str | None:
        """Perform the action during the answer. Returns the outcome if the turn ends here."""
        match turn.action:
            case "disconnects":
                sent.failure_seen = True  # a client that disconnects receives no error
                return "disconnected"
            case "leaves":
                with suppress(httpx2.TransportError):
                    await self._client.post(f"{self._url(turn, 1)}/chatkit/runs/{run_id}/leave")
                sent.failure_seen = True
                return "disconnected"
            case "stops":
                with suppress(httpx2.TransportError):
                    await self._client.post(f"{self._url(turn, 1)}/chatkit/runs/{run_id}/stop")
            case "sends a second message" if sent.thread_id:
                await self._interrupt(turn, sent.thread_id)
            case "deletes" if sent.thread_id:
                await self._delete(turn, sent.thread_id)
                return "deleted"
        return None

    async def _interrupt(self, turn: Turn, thread_id: str) -> None:
        """Send a second message during the answer, which may be refused or accepted."""
        sent = self._soak.write(self, turn, " again")
        sent.thread_id = thread_id
        body = {
            "type": "threads.add_user_message",
            "params": {"thread_id": thread_id, "input": message(sent.text)},
        }
        try:
            response = await self._client.post(f"{self._url(turn, 1)}/chatkit", json=body)
        except httpx2.TransportError:
            sent.failure_seen = True
            return
        if response.status_code == 200:
            sent.acknowledged = '"user_message"' in response.text
            sent.failure_seen = '"type":"error"' in response.text
        elif response.json()["error"]["code"] == "run_in_progress":
            sent.refused = True
        else:
            self._refused(sent, response)

    async def _delete(self, turn: Turn, thread_id: str) -> None:
        for sent in self._soak.sent_messages:
            sent.deleted |= sent.thread_id == thread_id
        self._threads = [known for known in self._threads if known != thread_id]
        body = {"type": "threads.delete", "params": {"thread_id": thread_id}}
        await self._post_until_answered(turn, "/chatkit", body)

    async def _post_until_answered(
        self, turn: Turn, path: str, body: dict[str, Any]
    ) -> httpx2.Response:
        worker = 0
        while True:
            worker += 1
            with suppress(httpx2.TransportError):
                response = await self._client.post(f"{self._url(turn, worker)}{path}", json=body)
                if response.status_code != 503:
                    return response
            await asyncio.sleep(0.3)

    def _record_thread(
        self, sent: SentMessage, thread_id: str, *, acknowledged: bool = True
    ) -> None:
        sent.thread_id = thread_id
        if acknowledged and thread_id not in self._threads and not sent.deleted:
            self._threads.append(thread_id)

    def _url(self, turn: Turn, offset: int) -> str:
        workers = self._cluster.workers
        return workers[(turn.worker + offset) % len(workers)].url

    def _unexpected(self, kind: str, where: str) -> None:
        self._report.unexpected.append(Violation(kind, where))


class Soak:
    def __init__(
        self, plan: Plan, settings: Settings, cluster: Cluster, database: Database
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.cluster = cluster
        self.report = Report()
        self.sent_messages: list[SentMessage] = []
        self.tool = next((tool.id for tool in Toolset(application.TOOLS, settings).usable()), None)
        self._database = database
        self._answer = ""
        self._begun = 0
        self._users: list[SoakUser] = []

    def write(self, user: SoakUser, turn: Turn, more: str = "") -> SentMessage:
        """A unique message, added to `sent_messages`."""
        suffix = turn.suffix if turn.suffix.startswith("[") and not more else ""
        text = " ".join(filter(None, [f"turn-{turn.number}{more}", suffix]))
        is_known = turn.suffix != "tool" or bool(more)
        answer = self._answer.replace("turn-0", text) if is_known else None
        self.sent_messages.append(SentMessage(user.id, text, answer))
        return self.sent_messages[-1]

    def find(self, user: SoakUser, text: str) -> SentMessage | None:
        return next((s for s in self.sent_messages if (s.user_id, s.text) == (user.id, text)), None)

    async def run(self, say: Callable[[str], None]) -> Report:
        began = time.monotonic()
        users = [f"soak-{number}" for number in range(self.plan.users)]
        credentials = await sample_credentials(
            self.settings, ["soak-first", *users], application.sign_in
        )
        await self._request_sample_answer(credentials[0])
        users_with_credentials = zip(users, credentials[1:], strict=True)
        self._users = [SoakUser(user, headers, self) for user, headers in users_with_credentials]
        progress = asyncio.create_task(self._print_progress(say, began))
        try:
            async with asyncio.TaskGroup() as group:
                for user in range(self.plan.users):
                    group.create_task(self._run_user(user, group))
        finally:
            progress.cancel()
        say("All turns have ended; waiting for open runs.")
        await self._wait_for_runs()
        report = self.report
        report.violations = report.unexpected + await violations(self._database, self.sent_messages)
        report.seconds = time.monotonic() - began
        return report

    async def _request_sample_answer(self, credentials: dict[str, str]) -> None:
        """Request one answer, from which the answers to other messages can be derived."""
        worker = self.cluster.workers[0]
        body = {"type": "threads.create", "params": {"input": message("turn-0")}}
        async with (
            httpx2.AsyncClient(headers=credentials, timeout=30) as client,
            client.stream("POST", f"{worker.url}/chatkit", json=body) as response,
        ):
            events = [event async for event in streamed(response)]
        self._answer = events[-1]["item"]["content"][0]["text"]
        assert "turn-0" in self._answer

    async def _run_user(self, user: int, group: asyncio.TaskGroup) -> None:
        for turn in self.plan.turns:
            if turn.user != user:
                continue
            self._begin_turn(group)
            self.report.events[f"client {turn.action}"] += 1
            await self._users[user].take(turn)

    def _begin_turn(self, group: asyncio.TaskGroup) -> None:
        self._begun += 1
        for fault in self.plan.faults:
            if fault.at_turn == self._begun:
                self.report.events[f"fault: {fault.kind}"] += 1
                group.create_task(self.cluster.inject(fault))

    async def _print_progress(self, say: Callable[[str], None], began: float) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            faults = sum(count for name, count in self.report.events.items() if "fault" in name)
            say(
                f"{time.monotonic() - began:5.0f} s  {self._begun}/{len(self.plan.turns)} turns, "
                f"{faults}/{len(self.plan.faults)} faults"
            )

    async def _wait_for_runs(self) -> None:
        """Wait until no run is open, for `SETTLE_SECONDS` at most."""
        statement = select(RunRow.status, func.count().label("n")).group_by(RunRow.status)
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            rows = await self._database.fetch(EVERYBODY, statement, retry=True)
            self.report.runs = Counter({row.status: row.n for row in rows})
            if not self.report.runs["running"] or time.monotonic() > deadline:
                return
            await asyncio.sleep(0.5)


@asynccontextmanager
async def running_soak(plan: Plan, folder: Path) -> AsyncIterator[Soak]:
    """Start the plan's workers on a database of their own, with their log in that folder."""
    postgres = Postgres(folder / "data")
    url = await asyncio.to_thread(postgres.start)
    try:
        await asyncio.to_thread(upgrade, url)
        settings = Settings(database_url=url)
        async with AsyncExitStack() as stack:
            database = Database(url, pool_size=2, retry_seconds=30)
            stack.push_async_callback(database.dispose)
            workers = []
            for number in range(plan.workers):
                worker = Worker(
                    settings,
                    demo_delay_seconds=0.03,
                    shutdown_seconds=1,
                    turns_per_minute=10_000,
                    running_answers_per_user=5,
                    tokens_per_day=0,
                    log_level="WARNING",
                    **shared_limits(),
                    on_disconnect="finish" if number % 2 else "stop",
                )
                worker.log = folder / "workers.log"
                stack.push_async_callback(_end, worker)
                workers.append(worker)
            await asyncio.gather(*(worker.start() for worker in workers))
            yield Soak(plan, settings, Cluster(postgres, workers), database)
    finally:
        await asyncio.to_thread(postgres.destroy)


async def _end(worker: Worker) -> None:
    worker.kill()
    await worker.wait()


def say(line: str) -> None:
    print(line, flush=True)


def summary(plan: Plan, report: Report) -> Iterator[str]:
    yield f"Seed {plan.seed}: {len(plan.turns)} turns in {report.seconds:.0f} s."
    for title, counts in (
        ("Events", report.events),
        ("How turns ended", report.outcomes),
        ("How runs ended", report.runs),
    ):
        yield f"{title}:"
        yield from (f"  {count:6}  {name}" for name, count in sorted(counts.items()))
    yield f"{len(report.violations)} violations of the invariant"
    yield from (f"  {violation}" for violation in report.violations)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        Path(folder).chmod(0o755)  # the user of the database server needs access
        yield Path(folder)


async def soak(plan: Plan, folder: Path) -> Report:
    async with running_soak(plan, folder) as soak:
        return await soak.run(say)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.tests.soak", description=__doc__)
    parser.add_argument("--turns", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--log", type=Path, help="write the log of the workers to this file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is cleaned up
    plan = make_plan(options.turns, options.seed, users=options.users, workers=options.workers)
    with temporary_folder() as folder, isolated_settings(folder):
        report = asyncio.run(soak(plan, folder))
        if options.log is not None:
            options.log.write_bytes((folder / "workers.log").read_bytes())
    for line in summary(plan, report):
        say(line)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
