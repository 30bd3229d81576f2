"""On Python 3.11, garbage is collected between tests alone.

A collection that begins inside `ContextVar.set` may crash that interpreter, when something that it
finalises sets a variable of the same context (python/cpython#148891). Newer ones collect between
instructions.
"""

import gc
import sys

MAY_CRASH = sys.version_info < (3, 12)


def pytest_collection_finish() -> None:
    if MAY_CRASH:
        gc.freeze()
        gc.disable()


def pytest_runtest_logfinish() -> None:
    """After the teardown of each test."""
    if MAY_CRASH:
        gc.collect()
