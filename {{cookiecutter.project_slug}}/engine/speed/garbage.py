"""How often Python searches this process for garbage. Meanwhile every answer waits."""

import gc
from functools import cache

# The number of new objects with which a search begins; Python 3.11's own is 700. With a thousand
# open answers a search of everything takes 0.8 s, and opening them took a dozen searches. With this
# number it takes two. Garbage that is not found yet takes up to 25 MB more.
YOUNG_OBJECTS = 5_000


@cache
def collect_garbage_seldom() -> None:
    """Search everything more seldom, and never what is imported, which stays for good."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
