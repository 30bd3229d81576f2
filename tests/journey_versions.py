"""Projects of older versions, with rows in every table, are updated to now. `make matrix` runs it."""

import re
from pathlib import Path

import pytest
from conftest import BakedProject, cache_of_types
from living import sql
from older import COMMITS, OlderTemplate, refuse_without_history, updated
from test_cruft import commit

# A migration of an owner, which continues the template's last one as projects of 0.1 did.
MIGRATION = '''"""Rolls of dice."""

import sqlalchemy as sa
from alembic import op

revision: str = "a1b2c3d4e5f6"
down_revision: str | None = "{last}"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "chatkit_rolls",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["chatkit_users.id"],
            name=op.f("chatkit_rolls_user_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("chatkit_rolls_pkey")),
    )


def downgrade() -> None:
    op.drop_table("chatkit_rolls")
'''
# The table of that migration, as the newest version declares tables.
ROWS = '''"""The table of rolls."""

from sqlalchemy import ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from engine.rows import TABLE_PREFIX, Base, UserRow, holds


class RollRow(Base):
    __tablename__ = f"{TABLE_PREFIX}rolls"
    __table_args__ = (holds("rolls"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    total: Mapped[int] = mapped_column(Integer)
'''
VERSIONS = pytest.mark.parametrize("version", COMMITS)


@pytest.fixture(autouse=True)
def history() -> None:
    refuse_without_history()


@VERSIONS
def test_a_project_with_default_answers(version: str, tmp_path: Path) -> None:
    template = OlderTemplate(tmp_path / "template", COMMITS[version])
    project = template.generate(tmp_path / "out", {})

    with updated(template, project):
        prove(project)


@VERSIONS
def test_a_project_with_everything(version: str, tmp_path: Path) -> None:
    template = OlderTemplate(tmp_path / "template", COMMITS[version])
    project = template.generate(tmp_path / "out", template.preset("everything"))

    with updated(template, project):
        prove(project)


@VERSIONS
def test_a_project_with_its_owners_changes(version: str, tmp_path: Path) -> None:
    """Instructions, a table with its migration, the project's version, and a file of their own."""
    template = OlderTemplate(tmp_path / "template", COMMITS[version])
    project = template.generate(tmp_path / "out", {})
    change(project)

    with updated(template, project, is_adopting=True):
        (project.path / "app/rolls_rows.py").write_text(ROWS, encoding="utf-8")
        prove(project)

        assert project.text("app/agent/instructions.md") == "Sell cars.\n"
        assert '\nversion = "1.4.0"\n' in project.text("pyproject.toml")
        assert project.text("notes.txt") == "Ours.\n"
        assert sql(project, "SELECT total FROM chatkit_rolls") == [1]


def change(project: BakedProject) -> None:
    commit(project.path, "as it was made")
    names = [file.name for file in (project.path / "migrations/versions").rglob("00*.py")]
    migration = MIGRATION.format(last=max(names)[:4])
    for name, text in {
        "app/agent/instructions.md": "Sell cars.\n",
        "pyproject.toml": project.text("pyproject.toml").replace(
            '\nversion = "0.1.0"\n', '\nversion = "1.4.0"\n'
        ),
        "notes.txt": "Ours.\n",
        "migrations/versions/a1b2c3d4e5f6_rolls.py": migration,
    }.items():
        (project.path / name).write_text(text, encoding="utf-8")


def prove(project: BakedProject) -> None:
    project.run("python", "-m", "app", "smoke")
    findings = project.run("python", "-m", "app", "doctor", "--port", "1")
    assert re.search(r"^ok +migrations", findings, re.M)
    project.run("ruff", "check", ".")
    project.run("lint-imports", "--no-cache")
    with cache_of_types() as cache:
        project.run("mypy", "--cache-dir", str(cache))
    assert " passed" in project.run("pytest", "--quiet").splitlines()[-1]
