"""The models of one turn."""

from agents import Model

from engine.models.boundary.model import BoundaryModel, Remarks
from engine.models.boundary.outputs import ItemIds, Visible
from engine.models.events_before_error import EventsBeforeErrorModel
from engine.models.source import ModelSource
from engine.models.traced import TracedModel
from engine.telemetry.measures import is_traced


class TurnModels:
    """Gives each model of a turn wrapped, whichever agent asks it.

    `remarks` are about all of their answers.
    """

    def __init__(self, source: ModelSource, item_ids: ItemIds, visible: Visible) -> None:
        self._source = source
        self._item_ids = item_ids
        self._visible = visible
        self._models: dict[str, Model] = {}
        self.remarks = Remarks()

    def get(self, name: str) -> Model:
        if name not in self._models:
            boundary = BoundaryModel(
                self._source.get(name),
                self._source.dialect(name),
                self._item_ids,
                self._visible,
            )
            boundary.remarks = self.remarks
            model = EventsBeforeErrorModel(boundary)
            self._models[name] = TracedModel(name, model) if is_traced() else model
        return self._models[name]
