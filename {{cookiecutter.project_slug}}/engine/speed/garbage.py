"""How often Python searches this process for garbage. Meanwhile every answer waits."""

import gc
from functools import cache

# The number of new objects with which a search begins; Python 3.11's own is 700. With a thousand
# open answers a search of everything takes 0.8 s, and opening them took a dozen searches. With this
# number it takes two. Garbage that is not found yet takes up to 25 MB more.
YOUNG_OBJECTS = 5_000


def collect_garbage_seldom() -> None:
    """Begin each search later. Before the SDKs are imported, this saves a tenth of their import."""
    gc.set_threshold(YOUNG_OBJECTS)


@cache
def never_search_imports() -> None:
    """Leave out what is there now: modules, which stay for good."""
    gc.freeze()
