"""A year of changing one's mind: six updates, in which five options are added and two are taken out.

In between, the owner uses every option and changes tables by migrations. `make matrix` runs it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from conftest import TEMPLATE, BakedProject, generate
from living import (
    PICTURE,
    Content,
    attach,
    chatting,
    content,
    fetch,
    fill_empty_tables,
    items,
    lost,
    say,
    sql,
)
from test_cruft import commit, repository

__all__ = ["repository"]

# Tests of the engine that the owner's tables, tools and migrations might make fail.
OF_ENGINE = tuple(
    f"engine/tests/test_{name}.py"
    for name in ("migrations", "migrating", "renaming", "health", "options", "row_security")
)
DICE_ROWS = '''"""The table of rolls."""

from sqlalchemy import BigInteger, ForeignKey, Identity, Integer
from sqlalchemy.orm import Mapped, mapped_column

from engine.rows import TABLE_PREFIX, Base, UserRow, holds


class RollRow(Base):
    __tablename__ = f"{TABLE_PREFIX}rolls"
    __table_args__ = (holds("rolls"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    total: Mapped[int] = mapped_column(Integer)
'''
DICE = '''"""Rolls a die, and keeps the result."""

import secrets

from agents import RunContextWrapper
from sqlalchemy import insert

from app.agent.tools.dice_rows import RollRow
from engine import AgentTool, DemoCall, TurnContext, agent_function


@agent_function
async def roll_die(turn: RunContextWrapper[TurnContext]) -> str:
    """Roll a die and keep the result."""
    total = secrets.randbelow(6) + 1
    user = turn.context.user_id
    await turn.context.database.write(user, insert(RollRow).values(user_id=user, total=total))
    return str(total)


DICE = AgentTool(
    id="dice",
    label="Dice",
    icon="sparkle",
    functions=(roll_die,),
    placeholder="What shall I roll?",
    prompt="Roll a die",
    titles={"roll_die": "Rolling a die"},
    demo_default=DemoCall("roll_die", {}),
)
'''
CORE = '''"""What version {version} adds."""

from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "core_{number:04}"
down_revision: str | None = "core_{last:04}"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute(f"COMMENT ON TABLE {{TABLE_PREFIX}}users IS 'version {version}'")


def downgrade() -> None: ...
'''


@dataclass
class Year:
    """A project with its owner, its user, and the template that it comes from."""

    repository: Path
    project: BakedProject
    version: int = 2
    rows: Content = field(default_factory=dict)

    def app(self, *words: str) -> str:
        return self.project.run("python", "-m", "app", *words)

    def publish(self, *, with_migration: bool = False) -> None:
        """A newer version of the template."""
        self.version += 1
        version = f"0.{self.version}.0"
        questions = self.repository / "cookiecutter.json"
        text = questions.read_text(encoding="utf-8")
        text = re.sub(r'"_version": "[\d.]+"', f'"_version": "{version}"', text)
        questions.write_text(text, encoding="utf-8")
        if with_migration:
            folder = self.repository / TEMPLATE.name / "engine/migrations/core"
            last = int(max(file.name for file in folder.glob("0*.py"))[:4])
            source = CORE.format(version=version, number=last + 1, last=last)
            (folder / f"{last + 1:04}_new.py").write_text(source, encoding="utf-8")
        commit(self.repository, version)

    def update(self, *answers: str) -> str:
        """With rows in every table, none of which is lost, and the same secrets."""
        fill_empty_tables(self.project)
        secrets, self.rows = self.project.text(".env"), content(self.project)
        said = self.app("update", "--yes", *(w for answer in answers for w in ("--set", answer)))
        assert "\nDone." in said
        assert self.project.text(".env") == secrets
        self.lose_nothing()
        assert f"0.{self.version}.0" in self.project.text("engine/README.md")
        commit(self.project.path, f"update to 0.{self.version}.0")
        return said

    def lose_nothing(self) -> None:
        assert lost(self.rows, content(self.project)) == []

    def write(self, name: str, text: str) -> None:
        file = self.project.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        text = self.project.text(name)
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        self.write(name, text.replace(old, new))

    def migrate(self, message: str) -> None:
        """The owner's next migration, from tables that were changed."""
        said = self.app("migration", message)
        assert f"_{message.replace(' ', '_')}.py" in said
        self.app("migrate")
        commit(self.project.path, message)


def test_a_year_of_changing_ones_mind(repository: Path, tmp_path: Path) -> None:
    project = generate(repository, tmp_path / "out", CHATKIT_SETUP="strict")
    commit(project.path, "made")
    year = Year(repository, project)
    try:
        live_through(year)
    finally:
        year.app("db", "stop")


def live_through(year: Year) -> None:
    with chatting(year.project) as client:
        credentials = {"cookie": client.headers["cookie"]}
        first = say(client, "Remember that our launch is on Friday", "notes")
        said_first = items(client, first)
    year.write("app/agent/instructions.md", "Sell cars.\n")
    commit(year.project.path, "instructions")

    year.publish()
    year.update("agent_tools=notes,knowledge")
    year.write("handbook.md", "# Opening hours\n\nWe open at nine.\n")
    year.app("knowledge", "add", "handbook.md")
    with chatting(year.project, credentials) as client:
        say(client, "When do you open?", "knowledge")
    add_dice(year)
    year.migrate("dice rolls")
    with chatting(year.project, credentials) as client:
        say(client, "Roll a die", "dice")
    assert len(sql(year.project, "SELECT total FROM chatkit_rolls")) == 1

    year.publish(with_migration=True)
    year.update("attachments=local")
    with chatting(year.project, credentials) as client:
        picture = attach(client, "a.png", PICTURE, "image/png")
        shown = say(client, "Look.", None, picture["id"])
    pin_notes(year)
    year.migrate("pinned notes")

    year.publish()
    year.update("agent_tools=notes,knowledge,email")
    with chatting(year.project, credentials) as client:
        say(client, "Draft an email to ada@example.com", "email")

    year.publish()
    said = year.update("agent_tools=notes,email", "dictation=yes")
    assert "left alone: knowledge_0001." in said
    year.replace(
        "app/agent/tools/dice_rows.py",
        "    total: Mapped[int] = mapped_column(Integer)\n",
        "    total: Mapped[int] = mapped_column(Integer)\n"
        '    sides: Mapped[int] = mapped_column(Integer, server_default="6")\n',
    )
    year.migrate("sides of dice")

    year.publish(with_migration=True)
    said = year.update("agent_tools=notes", "launcher=yes")
    assert re.search(r"left alone: email_\d+, knowledge_0001\.", said)

    year.publish()
    year.update()

    prove(year)
    with chatting(year.project, credentials) as client:
        assert items(client, first) == said_first
        [message, *_] = items(client, shown)
        assert fetch(client, message["attachments"][0]["preview_url"]) == PICTURE
    assert sql(year.project, "SELECT sides FROM chatkit_rolls") == [6]
    assert year.project.text("app/agent/instructions.md") == "Sell cars.\n"


def prove(year: Year) -> None:
    """Its suites, linters and types, the doctor, and a setup that adds only new settings."""
    project, secrets = year.project, year.project.text(".env").splitlines()
    year.app("setup")
    assert [line for line in secrets if line not in project.text(".env").splitlines()] == []
    year.app("smoke")
    year.app("db", "start")
    findings = year.app("doctor", "--port", "1")
    assert re.search(r"^ok +migrations", findings, re.M)
    project.run("ruff", "check", ".")
    project.run("ruff", "format", "--check", ".")
    project.run("lint-imports", "--no-cache")
    project.run("mypy")
    assert " passed" in project.run("pytest", "--quiet").splitlines()[-1]
    assert " passed" in project.run("pytest", "--quiet", "-n", "0", *OF_ENGINE).splitlines()[-1]
    year.lose_nothing()


def add_dice(year: Year) -> None:
    year.write("app/agent/tools/dice_rows.py", DICE_ROWS)
    year.write("app/agent/tools/dice.py", DICE)
    here = "# Import your own tools here, where no update changes a line.\n"
    tool_list = "app/agent/tool_list.py"
    year.replace(tool_list, here, f"{here}from app.agent.tools.dice import DICE\n")
    year.replace(tool_list, "    # Your own tools.\n", "    # Your own tools.\n    DICE,\n")


def pin_notes(year: Year) -> None:
    rows = "app/agent/tools/notes/rows.py"
    text = "    text: Mapped[str] = mapped_column(Text)\n"
    pinned = "    pinned: Mapped[bool] = mapped_column(Boolean, server_default=false())\n"
    year.replace(rows, "import BigInteger,", "import BigInteger, Boolean,")
    year.replace(rows, "insert, select\n", "insert, select, false\n")
    year.replace(rows, text, text + pinned)
    year.project.run("ruff", "check", "--fix", rows)
    year.project.run("ruff", "format", rows)
