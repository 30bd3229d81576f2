"""Changes that an owner makes in the first year, each on a fresh project.

After each one the owner's suite, the linters, the types and the borders are green. A change that an
owner cannot guess is a fault of the project's design.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import BakedProject, cache_of_types, generate_with_our_environment
from test_cruft import answer, changed, commit, cruft, files, repository

__all__ = ["repository"]

TOOL_LIST = "app/agent/tool_list.py"
SECRET_KEY = "of these tests, and long enough to be accepted"
EXTEND = "A tool in five minutes"


class Owner:
    """Edits the files of a project, and runs its checks."""

    def __init__(self, project: BakedProject) -> None:
        self.project = project
        self.changed: set[str] = set()

    def write(self, name: str, text: str) -> None:
        file = self.project.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        self.changed.add(name)

    def replace(self, name: str, *pairs: tuple[str, str]) -> None:
        text = self.project.text(name)
        for old, new in pairs:
            assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
            text = text.replace(old, new)
        self.write(name, text)

    def examples(self, heading: str) -> list[str]:
        """The Python that the project's docs/extend.md shows under a heading."""
        sections = re.split(r"^#{2,3} (.*)$", self.project.text("docs/extend.md"), flags=re.M)
        section = sections[sections.index(heading) + 1]
        return re.findall(r"^```python\n(.*?)^```$", section, flags=re.M | re.S)

    def smoke(self) -> str:
        """The smoke test, on the project's embedded database."""
        try:
            self.project.run("python", "-m", "app", "migrate", SECRET_KEY=SECRET_KEY)
            return self.project.run("python", "-m", "app", "smoke", SECRET_KEY=SECRET_KEY)
        finally:
            self.project.run("python", "-m", "app", "db", "stop")

    def prove(self) -> None:
        self.project.run("ruff", "check", "--fix", ".")
        self.project.run("ruff", "format", ".")
        self.project.run("lint-imports", "--no-cache")
        with cache_of_types() as cache:
            self.project.run("mypy", "--cache-dir", str(cache))
        assert " passed" in self.project.run("pytest", "--quiet").splitlines()[-1]


@pytest.fixture(scope="module")
def fresh(template: Path, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    return generate_with_our_environment(template, tmp_path_factory.mktemp("fresh"))


@pytest.fixture
def owner(fresh: BakedProject, tmp_path: Path) -> Owner:
    folder = tmp_path / fresh.path.name
    shutil.copytree(fresh.path, folder, symlinks=True)
    return Owner(BakedProject(folder))


@pytest.mark.slow
def test_the_documented_tool(owner: Owner) -> None:
    tool, naming = owner.examples(EXTEND)
    here, importing = naming.splitlines()[:2]
    assert "    # Your own tools.\n    DICE,\n" in naming
    owner.write("app/agent/tools/dice.py", tool)
    owner.replace(
        TOOL_LIST,
        (f"{here}\n", f"{here}\n{importing}\n"),
        ("    # Your own tools.\n", "    # Your own tools.\n    DICE,\n"),
    )
    owner.write(
        "tests/tools/test_dice.py",
        """from engine.tests.talk import Visitor


async def test_dice_are_rolled(visitor: Visitor) -> None:
    turn = await visitor.say("Roll two six-sided dice", tool="dice")

    assert turn.error is None
    tasks = [task["title"] for w in turn.done("workflow") for task in w["workflow"]["tasks"]]
    assert "Rolling dice" in tasks
""",
    )

    owner.prove()

    assert owner.changed == {"app/agent/tools/dice.py", TOOL_LIST, "tests/tools/test_dice.py"}


@pytest.mark.long
def test_other_instructions(owner: Owner) -> None:
    owner.write("app/agent/instructions.md", "You are the keeper of a lighthouse. Be brief.\n")

    owner.prove()


@pytest.mark.long
def test_a_column_on_notes_with_its_migration(owner: Owner) -> None:
    owner.replace(
        "app/agent/tools/notes/rows.py",
        ("import BigInteger,", "import BigInteger, Boolean,"),
        ("insert, select\n", "insert, select, false\n"),
        (
            "    text: Mapped[str] = mapped_column(Text)\n",
            "    text: Mapped[str] = mapped_column(Text)\n"
            "    pinned: Mapped[bool] = mapped_column(Boolean, server_default=false())\n",
        ),
    )

    owner.project.run("python", "-m", "app", "migrate", check=False)  # the column is missing yet
    owner.project.run("python", "-m", "app", "migration", "pinned notes")

    [migration] = (owner.project.path / "migrations" / "versions").glob("*pinned_notes.py")
    operations = re.findall(r"op\.(\w+)\(", migration.read_text(encoding="utf-8"))
    assert operations == ["add_column", "drop_column"]
    assert '"core_0001", "notes_0001"' in migration.read_text(encoding="utf-8")
    owner.prove()
    owner.project.run("python", "-m", "app", "db", "stop")


@pytest.mark.long
def test_two_agents_with_a_hand_off(owner: Owner) -> None:
    owner.replace(
        "app/agent/build.py",
        (
            "    return Agent[TurnContext](\n",
            "    lawyer = Agent[TurnContext](\n"
            '        name="Lawyer", instructions="Be exact.", model=turn.model()\n'
            "    )\n"
            "    return Agent[TurnContext](\n",
        ),
        (
            "        tools=turn.functions(),\n",
            "        tools=turn.functions(),\n        handoffs=[lawyer],\n",
        ),
    )
    owner.write(
        "tests/test_hand_off.py",
        """from agents.testing import ScriptedModel, assistant_message, function_call

from engine.tests.fixtures import Scripted


async def test_a_hand_off_is_seen_stored_and_taken_up(with_model: Scripted) -> None:
    go = function_call("transfer_to_lawyer", {}, call_id="1")
    model = ScriptedModel([[go], [assistant_message("As a lawyer:")], [assistant_message("Yes.")]])
    visitor = await with_model(model)

    turn = await visitor.say("May I?")
    again = await visitor.say("Sure?", turn.thread_id)

    assert (turn.answer, again.answer) == ("As a lawyer:", "Yes.")
    [workflow] = [i for i in await visitor.items(turn.thread_id) if i["type"] == "workflow"][:1]
    assert "Handed over to Lawyer" in [t["title"] for t in workflow["workflow"]["tasks"]]
    assert [call.system_instructions for call in model.calls][1:] == ["Be exact."] * 2
""",
    )

    owner.prove()


@pytest.mark.long
def test_another_way_to_sign_in(owner: Owner) -> None:
    style, factory = owner.examples("Another way to sign in")
    owner.write("app/header_auth.py", style)
    owner.write("app/auth.py", f'"""How people sign in."""\n\n{factory}')

    owner.prove()

    assert owner.changed == {"app/header_auth.py", "app/auth.py"}
    assert "12 checks" in owner.smoke()


@pytest.mark.long
def test_a_widget_with_a_button(owner: Owner) -> None:
    owner.write("app/agent/tools/counter.py", COUNTER)
    owner.replace(
        TOOL_LIST,
        (
            "from engine import AgentTool\n",
            "from app.agent.tools.counter import COUNTER\nfrom engine import AgentTool\n",
        ),
        ("    NOTES,\n", "    NOTES,\n    COUNTER,\n"),
    )
    owner.write(
        "tests/tools/test_counter.py",
        """from engine.tests.talk import Visitor


async def test_a_press_counts(visitor: Visitor) -> None:
    turn = await visitor.say("count", tool="counter")
    [widget] = turn.done("widget")

    await visitor.stream(
        "threads.custom_action",
        thread_id=turn.thread_id,
        item_id=widget["id"],
        action={"type": "counter.press", "payload": {"count": 1}},
    )

    [stored] = [i for i in await visitor.items(turn.thread_id) if i["type"] == "widget"]
    assert "Pressed 2 times" in str(stored)
""",
    )

    owner.prove()


COUNTER = '''"""A counter with a button."""

from agents import RunContextWrapper
from chatkit.widgets import DynamicWidgetRoot

from engine import AgentTool, DemoCall, ToolRefusal, TurnContext, agent_function
from engine.tool_parts import Shown, WidgetAction


@agent_function
async def show_counter(turn: RunContextWrapper[TurnContext]) -> str:
    """Show a counter with a button."""
    shown = _counter(1)
    turn.context.show(shown.widget, shown.text)
    return shown.text


async def press(action: WidgetAction) -> Shown:
    count = action.payload.get("count")
    if not isinstance(count, int):
        raise ToolRefusal("This button has no count.")
    return _counter(count + 1)


def _counter(count: int) -> Shown:
    text = f"Pressed {count} times"
    button = {
        "type": "Button",
        "label": "Press",
        "onClickAction": {"type": "counter.press", "payload": {"count": count}},
    }
    card = {"type": "Card", "children": [{"type": "Text", "value": text}, button]}
    return Shown(DynamicWidgetRoot.model_validate(card), text)


COUNTER = AgentTool(
    id="counter",
    label="Counter",
    icon="sparkle",
    functions=(show_counter,),
    placeholder="Count something",
    prompt="Show me a counter",
    actions={"counter.press": press},
    demo_default=DemoCall("show_counter", {}),
)
'''


@pytest.mark.long
def test_the_launcher_is_added_later_and_taken_out(repository: Path, tmp_path: Path) -> None:
    """By an update of the template, as any question that is answered differently."""
    extra = json.dumps({"setup": "skip"})
    cruft(tmp_path, "create", str(repository), "--no-input", "--extra-context", extra)
    project = tmp_path / "my-chat-app"
    commit(project, "made")
    before = files(project)

    answer(project, launcher="yes")
    (project / ".venv").symlink_to(sys.prefix)
    assert (project / "engine/launcher").is_dir()
    Owner(BakedProject(project)).prove()
    (project / ".venv").unlink()
    assert changed(project) != set()
    commit(project, "with a launcher")

    answer(project, launcher="no")

    assert files(project) == before


@pytest.mark.long
def test_the_chat_in_another_application_under_a_prefix(owner: Owner) -> None:
    owner.replace(
        "app/main.py",
        (
            "    app.include_router(chat.router)\n",
            '    app.include_router(chat.router, prefix="/help/chat")\n\n'
            '    @app.get("/", response_model=None)\n'
            "    def home() -> str:\n"
            '        return "A shop of chairs."\n\n',
        ),
    )
    owner.write(
        "tests/test_shop.py",
        """import httpx2
import pytest

from engine.tests.talk import Visitor


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/config.json", 404)])
async def test_the_shop_is_beside_the_chat(visitor: Visitor, path: str, status: int) -> None:
    chat = str(visitor.client.base_url)
    assert chat.rstrip("/").endswith("/help/chat")
    async with httpx2.AsyncClient(timeout=30) as browser:
        response = await browser.get(chat.partition("/help/chat")[0] + path)
    assert response.status_code == status
""",
    )

    owner.prove()

    assert "12 checks" in owner.smoke()


@pytest.mark.long
def test_another_look(owner: Owner) -> None:
    owner.replace(
        "app/page/theme.css",
        ("--chat-accent: #2563eb;", "--chat-accent: #c2410c;"),
        ("--chat-radius: round;", "--chat-radius: sharp;"),
        ("--chat-density: normal;", "--chat-density: compact;"),
    )
    owner.write(
        "app/page/icon.svg", '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>\n'
    )

    owner.prove()


@pytest.mark.long
def test_a_second_page_with_the_same_header(owner: Owner) -> None:
    owner.write(
        "app/page/about.html",
        """<!doctype html>
<html lang="en">
  <head>
    <title>About us</title>
    <link rel="stylesheet" href="static/theme.css">
    <link rel="stylesheet" href="static/page.css">
    <script src="static/js/main.js" type="module"></script>
  </head>
  <body>
    <!-- include _header.html -->
    <main><p>We make chairs.</p></main>
  </body>
</html>
""",
    )
    owner.write(
        "tests/test_about.py",
        """from engine.tests.talk import Visitor


async def test_both_pages_have_the_header(visitor: Visitor) -> None:
    for path in ("/", "/about"):
        page = await visitor.client.get(path)
        assert page.status_code == 200
        assert '<header class="masthead">' in page.text
""",
    )

    owner.prove()

    assert owner.changed == {"app/page/about.html", "tests/test_about.py"}
