"""The parts of the application that every turn uses."""

from collections.abc import Callable
from dataclasses import dataclass

from agents import Agent

from engine.database.database import Database
from engine.models.prices import Prices
from engine.models.source import ModelSource
from engine.options import Attachments, Dictation
from engine.settings.settings import Settings
from engine.store.store import SqlStore
from engine.tools.services import ToolServices
from engine.tools.toolset import Toolset
from engine.tools.turn_context import TurnContext

# The application's own: called for each turn.
BuildAgent = Callable[[TurnContext], Agent[TurnContext]]


@dataclass(frozen=True)
class Parts:
    settings: Settings
    database: Database
    store: SqlStore
    models: ModelSource
    prices: Prices
    toolset: Toolset
    services: ToolServices
    build_agent: BuildAgent
    attachments: Attachments | None
    dictation: Dictation | None
