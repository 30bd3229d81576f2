"""The time as the ChatKit SDK tells it."""

from datetime import datetime


def now() -> datetime:
    # The SDK subtracts its own naive times from an item's; an aware one would raise there.
    return datetime.now()  # noqa: DTZ005
