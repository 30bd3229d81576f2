"""Setup's second half, inside the environment: the database, its migrations, the smoke test.

One process for the three, because starting Python and importing costs more than they do. What
takes longest, the servers' import of the SDKs, begins before anything is imported here.
"""

import sys
from contextlib import ExitStack

from dev.smoke_process import Server, two_servers
from dev.steps import Progress, Step, StepFailed, run_steps

STEPS = ("database", "migrations", "smoke test")


def main(after: int) -> int:
    """Run the steps, numbered from `after` + 1; return the process's exit code."""
    with two_servers() as servers, ExitStack() as stack:
        from dev.postgres import PostgresError
        from engine.database.server_check import UnusableDatabase
        from engine.operate import cli
        from engine.operate.smoke import SmokeFailure

        refusals = (PostgresError, SmokeFailure, StepFailed, UnusableDatabase)
        return cli.run(lambda: _run(Proof(servers, stack), after), *refusals)


def _run(proof: "Proof", after: int) -> int:
    work = (proof.database, proof.migrations, proof.smoke_test)
    steps = [Step(name, run) for name, run in zip(STEPS, work, strict=True)]
    run_steps(steps, after=after, of=after + len(steps))
    return 0


class Proof:
    def __init__(self, servers: tuple[Server, Server], stack: ExitStack) -> None:
        self._servers, self._stack = servers, stack

    def database(self, _progress: Progress) -> str:
        from dev.database import running_database
        from engine.database.server_check import check_database
        from engine.settings.settings import Settings

        settings = Settings()
        self._url = self._stack.enter_context(running_database(settings))
        version = check_database(self._url)
        return version if settings.database_url else f"embedded {version}"

    def migrations(self, _progress: Progress) -> str:
        from engine.operate.commands.migrate import upgrade

        upgrade(self._url)
        return "at the newest migration"

    def smoke_test(self, progress: Progress) -> str:
        from dev.smoke import prove

        return f"{prove(self._servers, self._url, [], progress.say)} checks"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
