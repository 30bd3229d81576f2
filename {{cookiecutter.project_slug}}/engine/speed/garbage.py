"""How often Python searches this process for garbage. Meanwhile every answer waits."""

import gc
from functools import cache

# The number of new objects with which a search of them begins; Python 3.11's own is 700.
YOUNG_OBJECTS = 1_000
# Every third search takes the objects that the two before have left, and no more of them: after ten,
# as Python has it, and 5,000 objects, that search takes 100 ms, and now a few.
YOUNG_SEARCHES = 2
# How many of these come before a search of everything, which takes 0.7 s with a thousand open
# answers. Garbage that is not found until then takes up to 75 MB.
MIDDLE_SEARCHES = 600
# With so few open answers such a search comes this much earlier. It takes a twentieth of that, and 0.4 s
# once, when a hundred others have just ended.
FEW_ANSWERS = 20
MIDDLE_SEARCHES_OF_FEW = 40


def collect_garbage_seldom() -> None:
    """Begin each search later. Before the SDKs are imported, this saves a tenth of their import."""
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_SEARCHES, MIDDLE_SEARCHES)


def collect_garbage_of_few(open_answers: int) -> None:
    """Search everything, if it is time and keeps few waiting."""
    if open_answers <= FEW_ANSWERS and gc.get_count()[2] >= MIDDLE_SEARCHES_OF_FEW:
        gc.collect()


@cache
def never_search_imports() -> None:
    """Leave out what is there now: modules, which stay for good."""
    gc.freeze()
