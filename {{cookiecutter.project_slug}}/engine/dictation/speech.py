"""Transcribes speech with OpenAI's API, or with a compatible server."""

import base64
import io
import logging
from math import ceil

import av
import openai
from agents import ModelTimeoutError
from anyio import to_thread
from chatkit.types import AudioInput, TranscriptionResult
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engine.http.errors import AppError, InvalidRequest, Unavailable
from engine.models.source import ModelSource
from engine.options import PageOptions
from engine.settings.settings import EnvSettings
from engine.text.locales import Translatable

logger = logging.getLogger(__name__)

# The types that ChatKit records, with the file name extension that the API expects.
EXTENSIONS = {"audio/webm": "webm", "audio/ogg": "ogg", "audio/mp4": "mp4"}

# The size of a request without its audio.
REQUEST_BYTES = 10_000


class DictationSettings(EnvSettings):
    model_config = SettingsConfigDict(env_prefix="DICTATION_")

    model: str = "gpt-4o-mini-transcribe"
    max_bytes: int = Field(default=2_500_000, ge=1)
    max_seconds: float = Field(default=120, gt=0)


class DictationTooLong(AppError):
    status = 413
    code = "dictation_too_long"


class Speech:
    def __init__(self, models: ModelSource) -> None:
        self._models = models
        self._limits = DictationSettings()
        # base64 has four characters for three bytes.
        self.max_body_bytes = self._limits.max_bytes * 4 // 3 + REQUEST_BYTES

    def page_options(self) -> PageOptions:
        return {"composer": {"dictation": {"enabled": True}}}

    def check(self, audio_base64: str) -> None:
        try:
            # The ChatKit SDK decodes it in the same way.
            base64.b64decode(audio_base64)
        except ValueError:
            raise InvalidRequest("audio_base64: expected base64.") from None

    async def transcribe(self, audio: AudioInput) -> TranscriptionResult:
        client = self._models.client
        if client is None:
            raise InvalidRequest("The demo model does not listen: dictation needs OPENAI_API_KEY.")
        extension = EXTENSIONS.get(audio.media_type)
        if extension is None:
            raise InvalidRequest(f"mime_type: expected one of {', '.join(EXTENSIONS)}.")
        if len(audio.data) > self._limits.max_bytes:
            raise DictationTooLong(
                Translatable(
                    "A dictation has at most {count} byte.",
                    "A dictation has at most {count} bytes.",
                    count=self._limits.max_bytes,
                )
            )
        seconds = await to_thread.run_sync(duration_seconds, audio.data)
        if seconds > self._limits.max_seconds:
            raise DictationTooLong(
                Translatable(
                    "A dictation takes at most {seconds} second.",
                    "A dictation takes at most {seconds} seconds.",
                    count=ceil(self._limits.max_seconds),
                    seconds=f"{self._limits.max_seconds:g}",
                )
            )
        try:
            transcription = await client.audio.transcriptions.create(
                model=self._limits.model,
                file=(f"speech.{extension}", audio.data, audio.media_type),
            )
        except (openai.OpenAIError, ModelTimeoutError) as error:
            logger.warning("a dictation failed: %s", type(error).__name__)
            raise Unavailable("Nobody could listen right now. Please try again.") from error
        return TranscriptionResult(text=transcription.text)


def duration_seconds(data: bytes) -> float:
    """The duration, calculated from the packets.

    A browser's recording has no duration in its header, and a header could be wrong. Raises
    `InvalidRequest` if it is not audio.
    """
    end = 0.0
    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            for packet in container.demux(container.streams.audio[0]):
                if packet.pts is not None and packet.time_base is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except (av.FFmpegError, IndexError, ValueError):
        raise InvalidRequest("This is no audio that can be listened to.") from None
    if end <= 0:
        raise InvalidRequest("There is nothing to hear.")
    return end
