"""When garbage is collected: between the tests, where that is needed, and after answers."""

import gc

from engine.speed.garbage import FEW_ANSWERS, MIDDLE_SEARCHES_OF_FEW, collect_garbage_of_few
from engine.tests.garbage import MAY_CRASH
from engine.tests.talk import Visitor


def test_garbage_is_collected_between_tests_where_that_is_needed() -> None:
    assert gc.isenabled() is not MAY_CRASH


async def test_everything_is_searched_after_an_answer_while_few_are_open(visitor: Visitor) -> None:
    search_the_younger(MIDDLE_SEARCHES_OF_FEW)

    await visitor.say("hello")

    assert searches_since_everything() < MIDDLE_SEARCHES_OF_FEW


def test_many_open_answers_do_not_wait_for_that() -> None:
    search_the_younger(MIDDLE_SEARCHES_OF_FEW)

    collect_garbage_of_few(FEW_ANSWERS + 1)

    assert searches_since_everything() >= MIDDLE_SEARCHES_OF_FEW


def search_the_younger(times: int) -> None:
    for _ in range(times):
        gc.collect(1)


def searches_since_everything() -> int:
    return gc.get_count()[2]
