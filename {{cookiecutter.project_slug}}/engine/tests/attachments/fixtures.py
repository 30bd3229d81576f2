"""Applications that keep files for the tests alone, and people who attach some."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from engine.attachments.service import FileAttachments
from engine.auth.base import SignIn
from engine.settings.settings import Settings
from engine.tests.application import kind_of_files
from engine.tests.attachments.samples import TEXT
from engine.tests.fixtures import CreateApp, serving_chat, visiting
from engine.tests.talk import Turn, Visitor, events_in, message

# The module that knows how the chosen kind is tested.
KIND: Any = import_module(f"engine.tests.attachments.{kind_of_files()}.kind")


@dataclass
class Application:
    url: str
    attachments: FileAttachments
    visitor: Visitor
    stranger: Visitor

    def inline(self, most: int) -> None:
        """Inline pictures of at most this number of bytes from now on."""
        limits = self.attachments.limits
        self.attachments.limits = limits.model_copy(update={"inline_bytes": most})

    async def keys(self) -> set[str]:
        """The keys of all stored files."""
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        pages = [page async for page in self.attachments.files.older_than(tomorrow)]
        return {key for page in pages for key in page}


class Clock:
    """A clock that stands still until a test sets it."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


@pytest.fixture
def links_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time at which links are issued and opened.

    A new hour changes a link, and could begin between two responses that a test compares.
    """
    clock = Clock()
    # `links` imported from the package is its routes.
    monkeypatch.setattr(import_module("engine.attachments.links"), "time", clock)
    return clock


Attaching = Callable[..., Awaitable[Application]]


@pytest_asyncio.fixture
async def attaching(
    settings: Settings,
    create_app: CreateApp,
    sign_in: SignIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    links_clock: Clock,
) -> AsyncIterator[Attaching]:
    """Serve an application: `await attaching(attachment_max_count="1", **settings)`."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> Application:
            environment = stack.enter_context(KIND.place(tmp_path))
            # The tests' addresses are this machine's own. (`test_inline` is about that.)
            environment["ATTACHMENT_INLINE_BYTES"] = "0"
            for name in [name for name in changes if name.startswith(("attachment_", "s3_"))]:
                environment[name.upper()] = changes.pop(name)
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            changed = settings.model_copy(update=changes)
            app = create_app(changed)
            url = await stack.enter_async_context(serving_chat(app))
            return Application(
                url,
                app.state.chat.attachments,
                await stack.enter_async_context(visiting(url, changed, sign_in=sign_in)),
                await stack.enter_async_context(visiting(url, changed, sign_in=sign_in)),
            )

        yield start


@pytest_asyncio.fixture
async def application(attaching: Attaching) -> Application:
    return await attaching()


async def upload(
    visitor: Visitor,
    content: bytes = TEXT,
    name: str = "letter.txt",
    mime_type: str = "text/plain",
) -> httpx2.Response:
    response: httpx2.Response = await KIND.upload(visitor, content, name, mime_type)
    return response


async def attach(
    visitor: Visitor,
    content: bytes = TEXT,
    name: str = "letter.txt",
    mime_type: str = "text/plain",
) -> dict[str, Any]:
    """Upload an attachment that is not sent yet."""
    response = await upload(visitor, content, name, mime_type)
    assert response.status_code == 200, response.text
    attachment: dict[str, Any] = response.json()
    return attachment


async def send(
    visitor: Visitor, *attachment_ids: str, text: str = "Look.", thread_id: str | None = None
) -> httpx2.Response:
    """Send a message with these files, in a new thread by default."""
    sent = message(text) | {"attachments": list(attachment_ids)}
    if thread_id is None:
        return await visitor.send("threads.create", input=sent)
    return await visitor.send("threads.add_user_message", thread_id=thread_id, input=sent)


async def say_with(visitor: Visitor, *attachment_ids: str, **kwargs: Any) -> Turn:
    response = await send(visitor, *attachment_ids, **kwargs)
    assert response.status_code == 200, response.text
    return Turn(events_in(response.text))


async def refusal(visitor: Visitor, *file: Any) -> tuple[int, str]:
    """Status and code with which a file is refused, be it when it comes or when it is sent."""
    response = await upload(visitor, *file)
    if response.status_code == 200:
        response = await send(visitor, response.json()["id"])
    assert response.status_code >= 400, response.text
    return response.status_code, str(response.json()["error"]["code"])
