"""A project whose owner has changed what is theirs."""

import shutil
from dataclasses import replace
from pathlib import Path

from conftest import MADE_LATER, BakedProject

# Tests of the engine that say something of the agent, its tools, and who is signed in.
ENGINES_TESTS = (
    "engine/tests/agent/test_build.py",
    "engine/tests/auth/test_current.py",
    "engine/tests/auth/test_same_origin.py",
    "engine/tests/chat/test_turn.py",
    "engine/tests/test_included.py",
    "engine/tests/test_options.py",
    "engine/tests/tools/test_output.py",
    "engine/tests/web/test_routes.py",
)

CHANGES = {
    "app/agent/instructions.md": "Sell cars, and speak of nothing else.\n",
    "app/agent/tool_list.py": '''"""None at all."""

from engine import AgentTool

TOOLS: tuple[AgentTool, ...] = ()
''',
    "app/agent/build.py": '''"""One agent that hands over to another."""

from pathlib import Path

from agents import Agent

from engine import TurnContext

INSTRUCTIONS = Path(__file__).with_name("instructions.md").read_text(encoding="utf-8")


def build_agent(turn: TurnContext) -> Agent[TurnContext]:
    other = Agent[TurnContext](name="Mechanic", model=turn.model())
    return Agent[TurnContext](
        name="Seller", instructions=INSTRUCTIONS, model=turn.model(), handoffs=[other]
    )
''',
    "app/auth.py": '''"""Everybody is who they say they are."""

from fastapi import Request

from engine import Authenticator, Settings, Unauthenticated, User
from engine.rows import Database


class HeaderAuth(Authenticator):
    name = "header"

    async def authenticate(self, request: Request) -> User:
        if not (name := request.headers.get("X-Name")):
            raise Unauthenticated("X-Name is missing.")
        return User(id=name)

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        return {"X-Name": user_id}


def sign_in(settings: Settings, database: Database) -> Authenticator:
    return HeaderAuth(settings, database)
''',
}


def changed(project: BakedProject, folder: Path) -> BakedProject:
    """A copy with other instructions, agents, tools and another way to sign in.

    It shares the environment, and what its owner changes takes the tests of the tools with it.
    """
    shutil.copytree(project.path, folder, ignore=shutil.ignore_patterns(*MADE_LATER))
    (folder / ".venv").symlink_to(project.path / ".venv")
    for name, text in CHANGES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "tests" / "tools" / "test_notes.py").unlink()
    return replace(project, path=folder)
