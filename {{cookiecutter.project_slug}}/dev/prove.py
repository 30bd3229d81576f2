"""Setup's second half, inside the environment: the database, its migrations, the smoke test.

One process for the three, because starting Python and importing costs more than they do. What
takes longest, a server's import of the SDKs, begins before anything is imported here.
"""

import logging
import sys
from contextlib import ExitStack

from dev.smoke_process import Servers
from dev.steps import StepFailed, step


def main() -> int:
    """Run the steps; return the process's exit code."""
    # They would stand in the middle of a step's line; the report says what is still to be set.
    logging.disable(logging.WARNING)
    with Servers() as servers:
        from dev.postgres import PostgresError
        from engine.database.server_check import UnusableDatabase
        from engine.operate import cli
        from engine.operate.smoke import SmokeFailure

        refusals = (PostgresError, SmokeFailure, StepFailed, UnusableDatabase)
        return cli.run(lambda: prove(servers), *refusals)


def prove(servers: Servers) -> int:
    from dev import smoke
    from dev.database import running_database
    from engine.database.server_check import check_database
    from engine.operate.commands.migrate import upgrade
    from engine.operate.done import report
    from engine.settings.settings import Settings

    with ExitStack() as stack:
        with step(6, "database") as progress:
            settings = Settings()
            url = stack.enter_context(running_database(settings))
            progress.note = f"{'' if settings.database_url else 'embedded '}{check_database(url)}"
        with step(7, "migrations") as progress:
            upgrade(url)
            progress.note = "at the newest migration"
        with step(8, "smoke test") as progress:
            progress.note = f"{smoke.prove(servers, url, [], progress.say)} checks"
        print(report("app", settings, url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
