"""Work in the background goes on after errors, which the log has."""

import logging

from engine.context.rounds import Rounds
from engine.database.database import DatabaseUnreachable
from engine.http.errors import Unavailable
from engine.tests.fixtures import LogLines
from engine.tests.talk import until


async def test_it_goes_on_whatever_happens() -> None:
    errors = [DatabaseUnreachable("no database"), Unavailable("no files"), ValueError("a word")]
    done: list[int] = []
    kept = LogLines()
    logger = logging.Logger("rounds")
    logger.addHandler(kept)

    async def work() -> None:
        done.append(len(done))
        if errors:
            raise errors.pop(0)

    async def is_done() -> bool:
        return len(done) > 4

    rounds = Rounds(work, logger, "nothing was swept")
    rounds.start(0.001)
    await until(is_done)
    await rounds.close()

    said = [line.partition(": ") for line in kept.lines]
    assert [message for message, _, _ in said] == ["nothing was swept"] * 3
    # An unreachable database or store is one line with its reason; other errors have a traceback.
    assert [bool(reason) for _, _, reason in said] == [True, True, False]
    count = len(done)
    await rounds.close()  # once more does no harm
    assert len(done) == count


async def test_what_was_not_started_is_closed() -> None:
    async def work() -> None:
        raise AssertionError

    await Rounds(work, logging.getLogger(__name__), "").close()
