"""Parts for some tools: buttons in widgets, what stays open between turns, words in the user's language."""

from engine.http.errors import AppError
from engine.text.locales import Translatable, translate
from engine.tools.actions import Shown, WidgetAction
from engine.tools.services import ToolService, ToolServices

__all__ = [
    "AppError",
    "Shown",
    "ToolService",
    "ToolServices",
    "Translatable",
    "WidgetAction",
    "translate",
]
