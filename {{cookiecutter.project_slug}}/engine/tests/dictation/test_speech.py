"""Speech becomes text, and no more of it than is allowed."""

import base64
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import av
import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr

from engine.dictation.speech import DictationSettings
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import serving, visiting
from engine.tests.talk import Visitor

# With which WebM begins what was recorded.
CLUSTER = b"\x1f\x43\xb6\x75"
CODECS = {"webm": "libopus", "ogg": "libopus", "mp4": "aac"}


def recording(seconds: float, kind: str = "webm") -> bytes:
    """Silence, as a browser records it."""
    content = io.BytesIO()
    with av.open(content, mode="w", format=kind) as container:
        stream = cast("av.AudioStream", container.add_stream(CODECS[kind], rate=48_000))
        for index in range(int(seconds * 50)):
            frame = av.AudioFrame(format="s16", layout="mono", samples=960)
            frame.sample_rate = 48_000
            frame.pts = index * 960
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


class Listener:
    """A server that speaks OpenAI's API, and what it was sent."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.status = 200
        self.app = FastAPI()
        self.app.post("/v1/audio/transcriptions")(self.transcribe)

    async def transcribe(self, request: Request) -> Response:
        self.heard.append(await request.body())
        body = '{"text": "Hello there."}' if self.status == 200 else "{}"
        return Response(body, self.status, media_type="application/json")


Listening = Callable[..., Awaitable[tuple[Visitor, Listener]]]


@pytest_asyncio.fixture
async def listening(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Listening]:
    """Serve an application and what it talks to: `await listening(dictation_max_seconds="2")`."""
    async with AsyncExitStack() as stack:

        async def start(*, key: str | None = "key", **environment: str) -> tuple[Visitor, Listener]:
            for name, value in environment.items():
                monkeypatch.setenv(name.upper(), value)
            listener = Listener()
            url = await stack.enter_async_context(serving(listener.app))
            changed = settings.model_copy(
                update={
                    "openai_api_key": SecretStr(key) if key else None,
                    "openai_base_url": f"{url}/v1",
                    "model_retries": 0,
                }
            )
            app = await stack.enter_async_context(serving(create_app(changed)))
            return await stack.enter_async_context(visiting(app, changed)), listener

        yield start


async def dictate(visitor: Visitor, audio: bytes, mime_type: str = "audio/webm") -> httpx2.Response:
    params: Any = {"audio_base64": base64.b64encode(audio).decode(), "mime_type": mime_type}
    return await visitor.send("input.transcribe", **params)


def refusal(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["error"]["code"])


@pytest.mark.parametrize("kind", CODECS)
async def test_speech_becomes_text(listening: Listening, kind: str) -> None:
    visitor, listener = await listening(dictation_model="whisper-of-ours")

    response = await dictate(visitor, recording(1, kind), f"audio/{kind};codecs=opus")

    assert (response.status_code, response.json()) == (200, {"text": "Hello there."})
    [sent] = listener.heard
    assert f'filename="speech.{kind}"'.encode() in sent
    assert b"whisper-of-ours" in sent


async def test_the_page_offers_it(listening: Listening) -> None:
    visitor, _ = await listening()

    extras = (await visitor.client.get("/config.json")).json()["extras"]

    assert extras["composer"]["dictation"] == {"enabled": True}


@pytest.mark.parametrize("kind", CODECS)
async def test_too_long(listening: Listening, kind: str) -> None:
    visitor, listener = await listening(dictation_max_seconds="2")

    refused = await dictate(visitor, recording(2.5, kind), f"audio/{kind}")
    taken = await dictate(visitor, recording(1.5, kind), f"audio/{kind}")

    assert refusal(refused) == (413, "dictation_too_long")
    assert taken.status_code == 200
    assert len(listener.heard) == 1


async def test_too_large(listening: Listening) -> None:
    visitor, listener = await listening(dictation_max_bytes="1000")

    assert refusal(await dictate(visitor, recording(3))) == (413, "dictation_too_long")
    assert listener.heard == []


async def test_a_dictation_may_be_longer_than_other_requests(listening: Listening) -> None:
    visitor, _ = await listening()
    most = DictationSettings().max_bytes

    # Refused for what it is: it was read.
    assert refusal(await dictate(visitor, bytes(most))) == (422, "invalid_request")
    assert refusal(await dictate(visitor, bytes(most + 100_000))) == (413, "request_too_large")
    renamed = await visitor.send("threads.update", thread_id="thr_1", title="x" * 1_000_000)
    assert refusal(renamed) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("audio", "mime_type"),
    [(b"", "audio/webm"), (b"no audio" * 100, "audio/webm"), (b"MThd", "audio/midi")],
)
async def test_what_is_no_speech(listening: Listening, audio: bytes, mime_type: str) -> None:
    visitor, listener = await listening()

    assert refusal(await dictate(visitor, audio, mime_type)) == (422, "invalid_request")
    assert listener.heard == []


async def test_a_recording_in_which_nothing_was_said(listening: Listening) -> None:
    visitor, listener = await listening()
    header, cluster, _ = recording(1).partition(CLUSTER)

    response = await dictate(visitor, header + cluster)

    assert refusal(response) == (422, "invalid_request")
    assert response.json()["error"]["message"] == "There is nothing to hear."
    assert listener.heard == []


async def test_a_kind_that_no_page_records(listening: Listening) -> None:
    visitor, listener = await listening()

    response = await dictate(visitor, recording(1), "audio/wav")

    assert refusal(response) == (422, "invalid_request")
    assert listener.heard == []


async def test_what_is_no_base64(listening: Listening) -> None:
    visitor, _ = await listening()
    params: Any = {"audio_base64": "abcde", "mime_type": "audio/webm"}

    assert refusal(await visitor.send("input.transcribe", **params)) == (422, "invalid_request")


async def test_nobody_listens(listening: Listening) -> None:
    visitor, listener = await listening()
    listener.status = 500

    response = await dictate(visitor, recording(1))

    assert refusal(response) == (503, "unavailable")
    assert response.json()["error"]["message"] == "Nobody could listen right now. Please try again."


async def test_the_demo_model_says_that_it_does_not(listening: Listening) -> None:
    visitor, _ = await listening(key=None)

    response = await dictate(visitor, recording(1))

    assert refusal(response) == (422, "invalid_request")
    assert "OPENAI_API_KEY" in response.json()["error"]["message"]


async def test_without_credentials_nobody_listens(listening: Listening) -> None:
    visitor, listener = await listening()
    visitor.client.headers.pop("Cookie", None)
    visitor.client.headers.pop("Authorization", None)
    for name in [name for name in visitor.client.headers if name.startswith("x-forwarded")]:
        visitor.client.headers.pop(name)

    assert (await dictate(visitor, recording(1))).status_code == 401
    assert listener.heard == []
