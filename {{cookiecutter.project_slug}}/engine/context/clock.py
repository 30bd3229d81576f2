"""The time as the ChatKit SDK tells it."""

import time
from datetime import datetime


def now() -> datetime:
    # The SDK subtracts its own naive times from an item's; an aware one would raise there.
    return datetime.now()  # noqa: DTZ005


def seconds_since(moment: datetime) -> int:
    """Whole seconds since a time of `now`: those that passed, also where daylight saving began or
    ended meanwhile. Never negative, even if the clock was set back.
    """
    return max(0, int(time.time() - moment.timestamp()))
