"""Actions of widgets: a user presses a button of a widget that a tool showed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from chatkit.types import WidgetItem
from chatkit.widgets import WidgetRoot

from engine.database.database import Database


@dataclass(frozen=True)
class WidgetAction:
    """A pressed button. `payload` comes from the browser; `widget` was read from the user's rows."""

    payload: Any
    widget: WidgetItem
    database: Database
    user_id: str
    locale: str


@dataclass(frozen=True)
class Shown:
    """A widget, and a short text that describes it."""

    widget: WidgetRoot
    text: str


# Returns the new content of the widget. Raises `ToolRefusal` if the action is not possible.
ActionHandler = Callable[[WidgetAction], Awaitable[Shown]]
