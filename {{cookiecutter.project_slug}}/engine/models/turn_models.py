"""The models of one turn."""

from dataclasses import replace
from functools import partial

from agents import Model, Usage
from openai.types.responses import ResponseUsage

from engine.models.boundary.model import BoundaryModel, Remarks
from engine.models.boundary.outputs import ItemIds, Visible
from engine.models.counted import CountedModel
from engine.models.events_before_error import EventsBeforeErrorModel
from engine.models.source import ModelSource
from engine.models.traced import TracedModel
from engine.telemetry.measures import is_traced


class TurnModels:
    """Gives each model of a turn wrapped, whichever agent asks it.

    `remarks` are about all of their answers. `counted` are the tokens of each response, by model.
    """

    def __init__(
        self, source: ModelSource, item_ids: ItemIds, visible: Visible, conversation: str
    ) -> None:
        self._source = source
        self._item_ids = item_ids
        self._visible = visible
        self._conversation = conversation
        self._models: dict[str, Model] = {}
        self.remarks = Remarks()
        self.counted: list[tuple[str, ResponseUsage | Usage]] = []

    def get(self, name: str) -> Model:
        if name not in self._models:
            boundary = BoundaryModel(
                self._source.get(name),
                replace(self._source.dialect(name), conversation=self._conversation),
                self._item_ids,
                self._visible,
            )
            boundary.remarks = self.remarks
            counted = CountedModel(boundary, partial(self._count, name))
            model = EventsBeforeErrorModel(counted)
            self._models[name] = TracedModel(name, model) if is_traced() else model
        return self._models[name]

    def _count(self, name: str, usage: ResponseUsage | Usage) -> None:
        self.counted.append((name, usage))
