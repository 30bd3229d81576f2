"""The interpreters that may crash collect no garbage during a test."""

import gc

from engine.tests.garbage import MAY_CRASH


def test_garbage_is_collected_between_tests_where_that_is_needed() -> None:
    assert gc.isenabled() is not MAY_CRASH
