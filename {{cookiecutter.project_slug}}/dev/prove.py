"""Setup's second half, inside the environment: the database, its migrations, the smoke test.

One process for the three, because starting Python and importing costs more than they do. What
takes longest, the servers' import of the SDKs, begins before anything is imported here.
"""

import sys
from contextlib import ExitStack

from dev.smoke_process import Server, SmokeFailure, two_servers
from dev.steps import Progress, Step, StepFailed, run_steps

STEPS = ("database", "migrations", "smoke test")


def main(after: int) -> int:
    """Run the steps, numbered from `after` + 1; return the process's exit code."""
    try:
        with two_servers() as servers, ExitStack() as stack:
            proof = _Proof(servers, stack)
            work = (proof.database, proof.migrations, proof.smoke_test)
            steps = [Step(name, run) for name, run in zip(STEPS, work, strict=True)]
            run_steps(steps, after=after, of=after + len(steps))
    except (SmokeFailure, StepFailed) as failure:
        print(f"\n{failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


class _Proof:
    def __init__(self, servers: tuple[Server, Server], stack: ExitStack) -> None:
        self._servers = servers
        self._stack = stack

    def database(self, _progress: Progress) -> str:
        from pydantic import ValidationError

        from dev.database import DatabaseUnavailable, check_database, running_database
        from dev.postgres import PostgresError
        from engine.operate.start import problems
        from engine.settings.settings import Settings

        try:
            settings = Settings()
            self._url = self._stack.enter_context(running_database(settings))
            version = check_database(self._url)
        except ValidationError as error:
            raise StepFailed("\n".join(problems(error))) from error
        except (DatabaseUnavailable, PostgresError) as error:
            raise StepFailed(str(error)) from error
        return version if settings.database_url else f"embedded {version}"

    def migrations(self, _progress: Progress) -> str:
        from engine.database.migrations import MigrationRefused
        from engine.operate.commands.migrate import upgrade

        try:
            upgrade(self._url)
        except MigrationRefused as error:
            raise StepFailed(str(error)) from error
        return "at the newest migration"

    def smoke_test(self, progress: Progress) -> str:
        from dev.smoke import prove

        return f"{prove(self._servers, self._url, [], progress.say)} checks"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
