"""Local time without a time zone, as the ChatKit SDK uses it."""

import time
from datetime import datetime


def now() -> datetime:
    # The SDK subtracts its own naive times from an item's; an aware time would raise an error.
    return datetime.now()  # noqa: DTZ005


def seconds_since(moment: datetime) -> int:
    """Whole seconds since a time from `now`, correct across changes of daylight saving time.

    Never negative, even if the clock was set back.
    """
    return max(0, int(time.time() - moment.timestamp()))
