"""What the application asks of dictation, and the kind that takes none."""

from typing import Any, ClassVar

from chatkit.types import AudioInput, TranscriptionResult

from engine.http.errors import InvalidRequest
from engine.models.source import ModelSource
from engine.text.locales import Translations


class Dictation:
    """Takes none. A kind that does derives from it."""

    # The longest request that carries a dictation.
    max_body_bytes = 0
    # Whether the page's Permissions-Policy lets the element listen.
    listens = False
    translations: ClassVar[Translations] = {}

    def __init__(self, models: ModelSource) -> None:
        pass

    def page_options(self) -> dict[str, dict[str, Any]]:
        """What ChatKit's options need to be told, by section."""
        return {}

    def check(self, audio_base64: str) -> None:
        """Raise an `AppError` for what cannot even be decoded."""
        raise InvalidRequest("This application takes no dictation.")

    async def transcribe(self, audio: AudioInput) -> TranscriptionResult:
        raise InvalidRequest("This application takes no dictation.")
