"""Servers that speak OpenAI's API, and Azure's, over real HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from engine.database.database import Database
from engine.database.rows import RunRow
from engine.demo.model import DemoModel
from engine.models.source import ModelSource
from engine.settings.settings import Settings, UnusableSettings
from engine.tests.agent.fixtures import WithServer
from engine.tests.application import INSTRUCTIONS, create_app
from engine.tests.fixtures import serving, visiting
from engine.tests.model_server import CANARY, Behaviour, Exchange, ModelServer, answer, model_server
from engine.tests.model_server import refuse as refuses
from engine.tests.talk import Visitor
from engine.text.tokens import tokens_of

APIS = {"responses": "/v1/responses", "chat_completions": "/v1/chat/completions"}


async def used(database: Database, visitor: Visitor) -> tuple[int, int]:
    statement = select(RunRow.tokens_in, RunRow.tokens_out).where(RunRow.user_id == visitor.user_id)
    [row] = await database.fetch(visitor.user_id, statement)
    return row.tokens_in, row.tokens_out


@pytest.mark.parametrize("api", APIS)
async def test_a_compatible_server_answers_and_its_tokens_count(
    with_server: WithServer, database: Database, api: str
) -> None:
    visitor, model = await with_server(openai_api=api, models=("small", "large"))
    model.does(answer("Here I am."))

    turn = await visitor.say("hello", model="large")

    assert turn.answer == "Here I am."
    [asked] = model.exchanges
    assert asked.path == APIS[api]
    assert asked.headers["authorization"] == f"Bearer {CANARY}"
    assert asked.body["model"] == "large"
    assert await used(database, visitor) == (10, 5)


async def test_the_end_of_the_application_is_the_end_of_its_connections(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"openai_api_key": SecretStr("x")}))
    async with serving(app):
        client = app.state.chat.models.client
        assert not client.is_closed()
    assert client.is_closed()


async def test_tokens_that_nobody_counts_are_estimated(
    with_server: WithServer, database: Database
) -> None:
    visitor, model = await with_server(openai_api="chat_completions")

    async def uncounted(exchange: Exchange) -> None:
        del exchange.body["stream_options"]
        await answer("A long answer. " * 20)(exchange)

    model.does(uncounted)
    question = "A long question? " * 20
    await visitor.say(question)

    tokens_in, tokens_out = await used(database, visitor)
    # The instructions are part of what was asked.
    assert tokens_of(question) + tokens_of(INSTRUCTIONS) <= tokens_in < 400
    assert 100 < tokens_out < 400


def filtered(text: str) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        first = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        found = [{"prompt_index": 0, "content_filter_results": {}}]
        stream = exchange.stream

        async def begun(events: Any) -> None:
            exchange.stream = stream  # type: ignore[method-assign]
            await stream([{**first, "prompt_filter_results": found}])
            await stream(events)

        exchange.stream = begun  # type: ignore[method-assign]
        await answer(text)(exchange)

    return behave


WithAzure = Callable[..., Awaitable[tuple[Visitor, ModelServer]]]


@pytest.fixture
async def with_azure(settings: Settings) -> AsyncIterator[WithAzure]:
    """Serve the application with a resource at Azure: `await with_azure(**settings)`."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> tuple[Visitor, ModelServer]:
            model, url = await stack.enter_async_context(model_server())
            resource = {
                "openai_api_key": SecretStr(CANARY),
                "openai_base_url": url.removesuffix("/v1") + "/openai/v1",
                "models": ("chat-main", "chat-small"),
            }
            changed = settings.model_copy(update=resource | changes)
            app = await stack.enter_async_context(serving(create_app(changed)))
            return await stack.enter_async_context(visiting(app, changed)), model

        yield start


@pytest.mark.parametrize("api", APIS)
async def test_azure(with_azure: WithAzure, database: Database, api: str) -> None:
    """A deployment's name is a model's. Chat completions begin with what its filter says."""
    visitor, model = await with_azure(openai_api=api)
    model.does(filtered("From Azure.") if api == "chat_completions" else answer("From Azure."))

    assert (await visitor.say("hello", model="chat-small")).answer == "From Azure."
    assert await used(database, visitor) == (10, 5)

    [asked] = model.exchanges
    assert asked.path.startswith("/openai/v1/")
    assert asked.headers["authorization"] == f"Bearer {CANARY}"
    assert asked.body["model"] == "chat-small"


@pytest.mark.parametrize("api", APIS)
async def test_a_deployment_that_azure_does_not_have(with_azure: WithAzure, api: str) -> None:
    visitor, model = await with_azure(openai_api=api)
    model.does(refuses(404))

    turn = await visitor.say("hello")

    assert turn.error is not None
    assert turn.error["message"] == "The model could not take this request."
    assert CANARY not in str(turn.events)


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/deployments/chat-main"])
def test_azures_dated_api_is_refused(settings: Settings, path: str) -> None:
    changes = {
        "openai_api_key": SecretStr("x"),
        "openai_base_url": f"https://name.openai.azure.com{path}",
    }
    with pytest.raises(UnusableSettings, match="Its present one is at https://NAME"):
        ModelSource(settings.model_copy(update=changes), DemoModel(0))
