"""`python3 -m app smoke` without `--url`: against server processes of its own."""

import argparse
import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from uuid import uuid4

from dev.database import running_database
from dev.smoke_process import Server, Servers
from dev.steps import StepFailed
from engine.auth.credentials import delete_samples
from engine.operate.commands.smoke import checks_of, credentials, ways_to_sign_in
from engine.operate.smoke import (
    Checks,
    Credentials,
    Report,
    SmokeFailure,
    Target,
    print_line,
    report_on,
    two,
)
from engine.settings.settings import Settings

Start = Callable[[Server], Target]

APPLICATION = "app"


def smoke(options: argparse.Namespace) -> int:
    """Run every check, print each; return the process's exit code."""

    def run() -> int:
        with Servers() as servers, running_database(Settings()) as url:
            return prove(servers, url, credentials(options), print_line)

    return int(options.run(options)) if options.url else report_on(run)


def prove(servers: Servers, database_url: str, users: list[Credentials], report: Report) -> int:
    """Run every check against the first server, then the second; how many there were.

    `users`: two users' request headers, where the application cannot sign them in itself. Raises
    `SmokeFailure` with what failed, and the end of the servers' logs.
    """
    try:
        with _targets(database_url, users) as start:
            return _check(servers, database_url, start, report)
    except (SmokeFailure, StepFailed) as failure:
        said = [text for server in servers.begun if (text := server.last_words())]
        raise SmokeFailure("\n".join([str(failure), *said])) from failure


def _check(servers: Servers, database_url: str, start: Start, report: Report) -> int:
    added = checks_of(APPLICATION)
    # From now on this process waits. Begun earlier, three at once would import and compile the same.
    first, second = servers.first, servers.begin()
    target = start(first)
    with closing(Checks(target, report)) as checks:
        checks.before_chat()
        for more in added:
            checks.check(more.NAME, partial(more.check, APPLICATION, target.url, database_url))
        checks.chat()
        checks.after_chat()
        first.stop()
        checks.use(start(second))
        checks.still_there("after a restart the conversation is still there")
        checks.delete()
        second.stop()
    return checks.passed


@contextmanager
def _targets(database_url: str, users: list[Credentials]) -> Iterator[Start]:
    """Starts servers with two new users, who are deleted at the end with all of their rows."""
    # Credentials that were given are those of users who exist.
    user_ids = [] if users else [f"smoke-{uuid4().hex}" for _ in range(2)]

    def start(server: Server) -> Target:
        ready = server.start(database_url, user_ids)
        return Target(
            ready["url"],
            two(users or ready["users"], ways_to_sign_in(APPLICATION)),
            ready["tool"],
            ready["message"],
            must_call_tool=ready["tool"] is not None,
        )

    try:
        yield start
    finally:
        asyncio.run(delete_samples(database_url, user_ids))
