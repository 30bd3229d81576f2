"""The application that exports: with tools that fail in the ways in which tools fail."""

import os
from typing import Any

from fastapi import FastAPI

from engine.tests import application, workers
from engine.tests.agent.echo import ECHO
from engine.tools.tool import AgentTool, agent_function


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


def create_app() -> FastAPI:
    application.TOOLS = (ECHO, STUMBLE)
    return workers.create_app()


def create_other_app() -> FastAPI:
    """An application of somebody's that includes the chat, and that FastAPI traces as it likes."""
    application.TOOLS = (ECHO, STUMBLE)
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
