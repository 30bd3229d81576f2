"""A project whose owner has changed what is theirs."""

import shutil
from dataclasses import replace
from pathlib import Path

from conftest import MADE_LATER, BakedProject

# Tests of the engine that say something of the agent, its tools, tables, and who is signed in.
ENGINES_TESTS = (
    "engine/tests/agent/test_build.py",
    "engine/tests/auth/test_current.py",
    "engine/tests/auth/test_same_origin.py",
    "engine/tests/chat/test_turn.py",
    "engine/tests/test_health.py",
    "engine/tests/test_included.py",
    "engine/tests/test_migrating.py",
    "engine/tests/test_migrations.py",
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
    "app/rolls_rows.py": '''"""The table of rolls."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from engine.rows import TABLE_PREFIX, Base, UserRow, holds


class RollRow(Base):
    __tablename__ = f"{TABLE_PREFIX}rolls"
    __table_args__ = (holds("rolls"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
''',
    "migrations/versions/a1b2c3d4e5f6_rolls.py": '''"""Rolls of dice."""

import sqlalchemy as sa
from alembic import op

from engine.rows import TABLE_PREFIX

revision = "a1b2c3d4e5f6"
down_revision = None
branch_labels = "owner"
depends_on = "core_0001"


def upgrade() -> None:
    op.create_table(
        f"{TABLE_PREFIX}rolls",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            [f"{TABLE_PREFIX}users.id"],
            name=op.f(f"{TABLE_PREFIX}rolls_user_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f(f"{TABLE_PREFIX}rolls_pkey")),
    )


def downgrade() -> None:
    op.drop_table(f"{TABLE_PREFIX}rolls")
''',
}


def changed(project: BakedProject, folder: Path) -> BakedProject:
    """A copy with other instructions, agents, tools, a table, and another way to sign in.

    It shares the environment, and what its owner changes takes the tests of the tools with it.
    """
    shutil.copytree(project.path, folder, ignore=shutil.ignore_patterns(*MADE_LATER))
    (folder / ".venv").symlink_to(project.path / ".venv")
    for name, text in CHANGES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "tests" / "tools" / "test_notes.py").unlink()
    return replace(project, path=folder)
