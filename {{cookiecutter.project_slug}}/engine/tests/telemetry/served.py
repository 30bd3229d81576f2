"""The application that exports: with tools that fail in the ways in which tools fail, with tools
that run in the page, with widgets, and with an agent to hand over to."""

import os
from typing import Any

from agents import Agent
from fastapi import FastAPI

from engine.tests import application, workers
from engine.tests.agent.echo import ECHO
from engine.tests.chat.test_actions import BOARD
from engine.tests.chat.test_client_tools import PICK
from engine.tools.tool import AgentTool, agent_function
from engine.tools.turn_context import TurnContext


@agent_function
async def stumble(text: str) -> str:
    """Fail with an error that quotes the argument."""
    try:
        raise KeyError(text)
    except KeyError as error:
        raise ExceptionGroup(text, [ValueError(f"cannot read {text}")]) from error


@agent_function
async def disconnect(text: str) -> str:
    """Fail with an error of the system, which someone has put words into."""
    raise ConnectionRefusedError(111, f"no connection for {text}")


STUMBLE = AgentTool(
    id="stumble",
    label="Stumble",
    icon="sparkle",
    functions=(stumble, disconnect),
    placeholder="",
    prompt="",
)


_build_agent = application.build_agent


def with_a_lawyer(turn: TurnContext) -> Agent[TurnContext]:
    agent = _build_agent(turn)
    agent.handoffs = [Agent[TurnContext](name="Lawyer", model=turn.model())]
    return agent


def _be_the_tests() -> None:
    application.TOOLS = (ECHO, STUMBLE, PICK, BOARD)
    application.build_agent = with_a_lawyer


def create_app() -> FastAPI:
    _be_the_tests()
    return workers.create_app()


def create_other_app() -> FastAPI:
    """An application of somebody's that includes the chat, and that FastAPI traces as it likes."""
    _be_the_tests()
    chat = application.chat_of(_settings())
    app = FastAPI(lifespan=chat.lifespan)
    app.include_router(chat.router)
    return app


def _settings() -> Any:
    from engine.settings.settings import EnvSettings, Settings
    from engine.tests.fixtures import every_settings_class

    for settings in every_settings_class(EnvSettings):
        settings.model_config["env_file"] = None
    assert "DATABASE_URL" in os.environ
    return Settings()
