"""What a user sets off in a widget that a tool showed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from chatkit.types import WidgetItem
from chatkit.widgets import WidgetRoot

from engine.database.database import Database


@dataclass(frozen=True)
class WidgetAction:
    """A button that was pressed. The payload comes from the browser; the widget is the user's."""

    payload: Any
    widget: WidgetItem
    database: Database
    user_id: str
    locale: str


@dataclass(frozen=True)
class Shown:
    """A widget, and what it shows in a few words."""

    widget: WidgetRoot
    text: str


# It returns what the widget shows from now on, and raises `ToolRefusal` for what it will not do.
ActionHandler = Callable[[WidgetAction], Awaitable[Shown]]
