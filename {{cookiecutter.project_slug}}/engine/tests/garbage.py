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
        gc.disable()
        gc.freeze()


def pytest_runtest_logfinish() -> None:
    """After the teardown of each test. What is left stays, and is not searched again after each."""
    if MAY_CRASH:
        gc.collect()
        gc.freeze()
