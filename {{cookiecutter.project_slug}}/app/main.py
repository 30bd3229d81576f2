"""The application: `uvicorn app.main:create_app --factory`."""

from pathlib import Path

from fastapi import FastAPI

from app.agent.build import build_agent
from app.agent.tool_list import TOOLS

# {%- if cookiecutter.attachments != "none" +%}
from app.attachments import attachments

# {%- endif +%}
from app.auth import sign_in
from engine import Chat, ModelSource, Settings, exit_with_one_line

# {%- if cookiecutter.dictation == "yes" +%}
from engine.dictation.speech import Speech

# {%- endif +%}
# {%- if cookiecutter.__frames == "yes" +%}
from engine.launcher.frames.routes import sign_in_frames

# {%- endif +%}
# {%- if cookiecutter.launcher == "yes" +%}
from engine.launcher.routes import launcher

# {%- endif +%}

PAGE_FOLDER = Path(__file__).with_name("page")


def create_app(settings: Settings | None = None, models: ModelSource | None = None) -> FastAPI:
    """Build the application. Raises ValueError when a setting is missing or unusable.

    Without `settings` they come from the environment, and one that is missing or unusable ends
    the process with one line that says so. `models` replaces where answers come from.
    """
    if settings is None:
        with exit_with_one_line():
            return create_app(Settings(), models)
    chat = Chat(
        settings,
        agent=build_agent,
        tools=TOOLS,
        page=PAGE_FOLDER,
        sign_in=sign_in,
        # {% if cookiecutter.attachments != "none" %}
        attachments=attachments,
        # {% endif %}
        # {% if cookiecutter.dictation == "yes" %}
        dictation=Speech,
        # {% endif %}
        models=models,
        # {% if cookiecutter.launcher == "yes" %}
        extensions=[
            launcher,
            # {% if cookiecutter.__frames == "yes" %}
            sign_in_frames,
            # {% endif %}
        ],
        # {% endif %}
    )
    app = FastAPI(
        title=chat.settings.application_name,
        lifespan=chat.lifespan,
        openapi_url=None,
        telemetry=chat.telemetry,
    )
    app.state.chat = chat  # for tests
    chat.protect(app)
    app.include_router(chat.router)
    return app
