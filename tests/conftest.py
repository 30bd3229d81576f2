"""Fixtures that bake projects: `bake(auth_style="jwt")` returns a `BakedProject`."""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from cookiecutter.main import cookiecutter
from jinja2 import Environment
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from chromium import Visitor
    from playwright.sync_api import Browser
    from serving import Application

REPO = Path(__file__).resolve().parent.parent
# Beside the environment that runs the tests, which is outside the checkout: `make work`.
BUILD = Path(sys.prefix).parent / "build"
TEMPLATE = REPO / "{{cookiecutter.project_slug}}"
QUESTIONS: dict[str, Any] = json.loads((REPO / "cookiecutter.json").read_text(encoding="utf-8"))
PRESETS = {file.stem: file for file in sorted((REPO / "presets").glob("*.yaml"))}

# Without caches, so that a project has only files of the template. Bytecode is still written, because
# each of a project's many processes would otherwise compile the SDKs again.
QUIET = {"RUFF_NO_CACHE": "true"}
MADE_LATER = (".git", ".venv", ".data", ".pytest_cache", "__pycache__", "uv.lock", ".env")


def pytest_configure() -> None:
    """Programs under test are interrupted, also if a shell started all of this in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long tests as well, as CI does")
    parser.addoption("--matrix", action="store_true", help="all rows instead of the first ones")


class ByProject(LoadScopeScheduling):  # type: ignore[misc]
    """Runs a class of tests, or a row of the matrix, in one worker, so that it is set up once."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    scope = nodeid.rpartition("::")[0]
    return scope + nodeid[nodeid.index("[") :] if "::TestRow::" in nodeid else scope


def pytest_xdist_auto_num_workers() -> int:
    """1.5 workers for each processor, because they wait for browsers, servers and databases."""
    return (os.cpu_count() or 1) * 3 // 2


# Slow tests run first, so that workers finish at about the same time. Projects use the processors and
# other slow tests mostly wait, so they alternate.
PROJECTS = (
    "journey_",
    "::TestEverything",
    "::TestDefault",
    "test_owner_changes",
    "test_update",
    "::TestRow",
    "::TestMinimal",
)
WAITING = ("test_browser", "test_nextjs", "test_openai_api", "test_launcher")
TYPED = ("test_template", "test_types")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_long_ones_out(config, items)
    scopes = list(dict.fromkeys(scope_of(item.nodeid) for item in items))
    projects, waiting, typed = (
        [scope for name in names for scope in scopes if name in scope]
        for names in (PROJECTS, WAITING, TYPED)
    )
    turns = [scope for pair in zip_longest(projects, waiting) for scope in pair if scope]
    places = {scope: place for place, scope in enumerate(turns + typed)}
    items.sort(key=lambda item: places.get(scope_of(item.nodeid), len(places)))


def leave_long_ones_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Unless they are asked for: by the option, or by the names of files or tests."""
    if config.option.long or config.option.file_or_dir or config.option.keyword:
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByProject:
    return ByProject(config, log)


@dataclass(frozen=True)
class BakedProject:
    """A generated project, and Cookiecutter's output."""

    path: Path
    output: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def files(self) -> dict[str, str]:
        """The text of every file of the template, by its name in the project."""
        return {
            str(file.relative_to(self.path)): file.read_text(encoding="utf-8")
            for file in sorted(self.path.rglob("*"))
            if file.is_file() and not set(file.relative_to(self.path).parts) & set(MADE_LATER)
        }

    def run(self, *command: str, check: bool = True, **environment: str) -> str:
        """Run a program of the project's environment in the project; return its output."""
        program = str(self.path / ".venv" / "bin" / command[0])
        variables = clean_environment() | self.environment | environment
        return output_of(program, *command[1:], cwd=self.path, env=variables, check=check)


class BakeFailed(Exception):
    """Cookiecutter failed; `output` is its output on the terminal."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


Bake = Callable[..., BakedProject]


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Jinja keeps what it has compiled: nearly every text is the same in each project."""
    kept: dict[tuple[object, ...], Any] = {}
    compile_anew: Callable[..., Any] = Environment.compile

    def compile(environment: Environment, source: str, *rest: object, **named: object) -> Any:
        key = (environment.lexer, source, *rest, *named.items())
        if key not in kept:
            kept[key] = compile_anew(environment, source, *rest, **named)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", compile)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template alone, because Cookiecutter copies the whole folder of a template."""
    copy = tmp_path_factory.mktemp("template") / "chat"
    copy_template(copy)
    return copy


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's questions and hooks without a project's files, for tests of answers."""
    copy = tmp_path_factory.mktemp("questions") / "chat"
    (copy / TEMPLATE.name).mkdir(parents=True)
    copy_questions(copy)
    return copy


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without the hook that comes before the questions: Cookiecutter copies the whole
    folder of a template that has one."""
    copy = tmp_path_factory.mktemp("rendered") / "chat"
    copy_template(copy)
    (copy / "hooks" / "pre_prompt.py").unlink()
    return copy


@pytest.fixture
def baking(
    cookies: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], Bake]:
    """A function that generates projects of a template without their setup."""
    monkeypatch.setenv("CHATKIT_SETUP", "skip")

    def bake(template: Path, **answers: str) -> BakedProject:
        capfd.readouterr()
        result = cookies.bake(extra_context=answers, template=str(template))
        output = "".join(capfd.readouterr())
        if result.exception is not None:
            raise BakeFailed(f"{output}\n{result.exception}")
        return BakedProject(result.project_path, output, answers=result.context)

    return lambda template: partial(bake, template)


@pytest.fixture
def bake(baking: Callable[[Path], Bake], rendered: Path) -> Bake:
    """A function that generates a project without its setup."""
    return baking(rendered)


@pytest.fixture
def ask(baking: Callable[[Path], Bake], questions: Path) -> Bake:
    """Like `bake`, for tests of answers: its projects have no files."""
    return baking(questions)


@pytest.fixture(scope="session")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "looked_at"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def look(bake: Bake, looked_at: Path) -> Bake:
    """Like `bake`, for tests that only read: equal answers are baked once."""

    def look(**answers: str) -> BakedProject:
        said = json.dumps(answers, sort_keys=True)
        kept = looked_at / hashlib.sha256(said.encode()).hexdigest()[:16]
        output = kept / "output.txt"
        with one_process_at_a_time(kept.with_suffix(".lock")):
            if not output.exists():
                project = bake(**answers)
                kept.mkdir()
                project.path.rename(kept / project.path.name)
                output.write_text(project.output, encoding="utf-8")
        [path] = (entry for entry in kept.iterdir() if entry.is_dir())
        return BakedProject(path, output.read_text(encoding="utf-8"))

    return look


def generate(template: Path, folder: Path, *arguments: str, **environment: str) -> BakedProject:
    """Run the `cookiecutter` command without a terminal, like a script or a CI job."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [tool("cookiecutter"), str(template), "--no-input", "-o", str(folder), *arguments],
        cwd=folder,
        env=clean_environment() | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        check=False,
    )
    if done.returncode != 0:
        raise BakeFailed(done.stdout)
    [path] = [entry for entry in folder.iterdir() if entry.is_dir()]
    return BakedProject(path, done.stdout)


def generate_with_our_environment(template: Path, folder: Path, **answers: str) -> BakedProject:
    """A project with the `.venv` of these tests, which has the packages of every option."""
    path = cookiecutter(
        str(template),
        no_input=True,
        extra_context=answers | {"setup": "skip"},
        output_dir=str(folder),
        default_config=True,
    )
    project = BakedProject(Path(path))
    (project.path / ".venv").symlink_to(Path(sys.prefix))
    return project


def is_copied(file: Path) -> bool:
    """True if Cookiecutter copies this file without rendering."""
    name = str(file.relative_to(TEMPLATE))
    return any(fnmatch(name, pattern) for pattern in QUESTIONS["_copy_without_render"])


def copy_template(target: Path) -> None:
    copy_questions(target)
    copy_folder(TEMPLATE, target)


def copy_questions(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPO / "cookiecutter.json", target)
    copy_folder(REPO / "hooks", target)


def copy_folder(folder: Path, target: Path) -> None:
    caches = shutil.ignore_patterns("__pycache__", ".*_cache", ".venv", "node_modules")
    shutil.copytree(folder, target / folder.name, ignore=caches)


def clean_environment() -> dict[str, str]:
    """This process's environment without variables that would affect the project under test."""
    ours = (
        "CHATKIT_",
        "DATABASE_URL",
        "OPENAI_",
        "PYTEST_",
        "PYTHON",
        "VIRTUAL_ENV",
        "JWT_",
        "OIDC_",
        "PROXY_",
        "SESSION_",
        "SIGN_",
        "ALLOWED_",
        "GIT_",
    )
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return inherited | QUIET | {"UV": tool("uv")}


def tool(name: str) -> str:
    """A program of the environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))


def output_of(
    *command: str, cwd: Path | None = None, env: dict[str, str], check: bool = True
) -> str:
    """All output of a program, which gets no input; if it fails, the test fails with it."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def check(*command: str, cwd: Path, **environment: str) -> None:
    """Run a checker of the environment that runs the tests."""
    output_of(tool(command[0]), *command[1:], cwd=cwd, env=clean_environment() | environment)


@contextmanager
def cache_of_types() -> Iterator[Path]:
    """mypy's cache of the libraries, locked for one process at a time."""
    cache = BUILD / "types"
    cache.mkdir(parents=True, exist_ok=True)
    with one_process_at_a_time(cache.with_suffix(".lock")):
        yield cache


@contextmanager
def one_process_at_a_time(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lack(reason: str) -> NoReturn:
    """Skip the test; in CI, where everything is installed, fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def npm_install(name: str, owner: str | None = None) -> Path:
    """Copy `tests/<name>/` to the folder of builds and install its package.json there.

    Each module of tests has its own folder (`owner`), because modules run in parallel.
    """
    npm = shutil.which("npm")
    if npm is None:
        lack(f"npm is not installed, and tests/{name} needs packages of its registry")
    folder = BUILD / (owner or name)
    shutil.copytree(REPO / "tests" / name, folder, dirs_exist_ok=True)
    command = [npm, "install", "--no-package-lock", "--ignore-scripts", "--prefer-offline"]
    subprocess.run(
        [*command, "--no-audit", "--no-fund"], cwd=folder, stdin=subprocess.DEVNULL, check=True
    )
    return folder


def hook(name: str) -> ModuleType:
    """A hook as a module, without rendered answers."""
    source = (REPO / "hooks" / f"{name}.py").read_text(encoding="utf-8")
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(REPO / "hooks" / f"{name}.py")
    unrendered = "{{ cookiecutter | tojson }}"
    exec(compile(source.replace(unrendered, "{}"), name, "exec"), module.__dict__)  # noqa: S102
    return module


# --- For tests in a browser (`chromium.py` imports this file) -------------------------------------


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    from chromium import launched

    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def caching(browser: "Browser") -> Iterator["Browser"]:
    """Like `browser`, with the back/forward cache, which Playwright disables."""
    from chromium import FLAGS, full_program

    caching = browser.browser_type.launch(
        executable_path=full_program(),
        args=FLAGS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield caching
    caching.close()


@pytest.fixture
def visit(browser: "Browser") -> Iterator["Callable[..., Visitor]"]:
    """A new visitor of an application. Errors in the console fail the test."""
    from chromium import Visitor

    visitors: list[Visitor] = []

    def visit(application: "Application", locale: str = "en-US") -> Visitor:
        context = browser.new_context(base_url=application.url, locale=locale)
        visitors.append(Visitor(context))
        return visitors[-1]

    yield visit

    for visitor in visitors:
        visitor.context.close()
    assert [line for visitor in visitors for line in visitor.complaints()] == []


@pytest.fixture(scope="module")
def axe(request: pytest.FixtureRequest) -> str:
    folder = npm_install("browser", owner=request.module.__name__)
    return (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")
