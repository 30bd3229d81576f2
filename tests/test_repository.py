"""The repository's own files, and a project's: they are valid, pinned, and lead somewhere."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from cast import Failed, as_svg, recorded
from changelog import CHANGELOG, newest_release
from conftest import REPO, TEMPLATE, Bake, check
from documents import dead_links
from matrix import as_answers, rows
from newest import as_tested, with_versions, without_upper_bounds

PAGES = [
    *REPO.glob("*.md"),
    *(REPO / "docs").rglob("*.md"),
    REPO / "benchmarks" / "README.md",
]
WORKFLOWS = [
    *(REPO / ".github" / "workflows").glob("*.yml"),
    *(TEMPLATE / ".github" / "workflows").glob("*.yml"),
]
USES = re.compile(r"uses: (\S+)@(\S+)(.*)$", re.M)
TARGETS = ["test", "demo", "soak", "docs", "lint", "work"]
SCHEMAS = {
    "vendor.github-workflows": "workflows/*.yml",
    "vendor.dependabot": "dependabot.yml",
    "vendor.github-issue-forms": "ISSUE_TEMPLATE/[0-9]-*.yml",
    "vendor.github-issue-config": "ISSUE_TEMPLATE/config.yml",
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_for_github_are_valid(look: Bake, schema: str) -> None:
    """In this repository, and in projects with all of them and with the fewest."""
    folders = (REPO, look(host_page="nextjs").path, look(deploy="none").path)
    files = [file for folder in folders for file in (folder / ".github").glob(SCHEMAS[schema])]

    assert files
    check("check-jsonschema", "--builtin-schema", schema, *map(str, files), cwd=REPO)


def test_other_yaml_parses() -> None:
    files = [REPO / "mkdocs.yml", REPO / ".pre-commit-config.yaml"]

    assert all(yaml.safe_load(file.read_text(encoding="utf-8")) for file in files)


def test_actions_are_pinned_by_commit() -> None:
    """With the version beside it, and everywhere the same commit."""
    used: dict[str, set[str]] = {}
    for file in WORKFLOWS:
        for action, commit, comment in USES.findall(file.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[0-9a-f]{40}", commit), f"{file.name}: {action}@{commit}"
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{file.name}: {action}{comment}"
            used.setdefault(action, set()).add(commit + comment)

    assert used
    assert {action: pins for action, pins in used.items() if len(pins) > 1} == {}


def test_workflows_call_targets_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.M))
    called = {
        target
        for file in (REPO / ".github" / "workflows").glob("*.yml")
        for target in re.findall(r"\bmake (?:-\S+ )*([\w-]+)", file.read_text(encoding="utf-8"))
    }

    assert called
    assert called <= targets


def test_cookiecutter_copies_nothing_but_the_template(tmp_path: Path) -> None:
    """Environment, caches and builds are outside the checkout, a folder for each checkout."""
    copy = tmp_path / "a copy"
    copy.mkdir()
    shutil.copy(REPO / "Makefile", copy)

    folders = [make(place, "--silent", "work") for place in (REPO, copy)]
    steps = make(REPO, "--always-make", "--dry-run", *TARGETS)

    assert folders[0] != folders[1]
    for folder in folders:
        assert Path(folder).parent.name == "chatkit-template"
        assert not Path(folder).is_relative_to(REPO)
    # The commands of the demo's project run in its own folder.
    inside = steps.replace(folders[0], "").replace(".venv/bin/python -m app", "")
    assert re.findall(r"[\s\"'](?:\.venv|\.uv|build)/\S*", inside) == []


def make(folder: Path, *words: str) -> str:
    inherited = {"PATH": os.environ["PATH"], "HOME": "/home/somebody"}
    done = subprocess.run(
        ["make", *words],  # noqa: S607
        cwd=folder,
        env=inherited,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    return done.stdout.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert dead_links(page) == []


@pytest.mark.parametrize("row", rows())
def test_links_of_a_project_lead_somewhere(look: Bake, row: str) -> None:
    path = look(**as_answers(rows()[row])).path
    pages = [*path.glob("*.md"), *(path / "docs").glob("*.md"), path / "engine" / "README.md"]

    assert {page.name: dead for page in pages if (dead := dead_links(page))} == {}


@pytest.mark.parametrize("row", ["default", "everything"])
def test_pages_named_in_a_project_exist(look: Bake, row: str) -> None:
    """In messages, comments and settings, which are no links."""
    project = look(**as_answers(rows()[row]))
    named = {
        page: name
        for name, text in project.files().items()
        if not {"tests", "locales"} & set(Path(name).parts[:-1])
        for page in re.findall(r"\bdocs/[\w-]+\.\w+", text)
    }

    assert len(named) > 5
    assert {page: name for page, name in named.items() if not project.has(page)} == {}


def test_the_readme_of_a_project_leads_to_each_page(look: Bake) -> None:
    project = look()
    pages = {f"docs/{page.name}" for page in (project.path / "docs").glob("*.md")}

    assert pages <= set(re.findall(r"\]\(([^)#]+)\)", project.text("README.md")))


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `title`\n[a](#a-title) [b](#b) [c](other.md)\n", encoding="utf-8")

    assert dead_links(page) == ["#b", "other.md"]


def test_settings_named_in_the_documentation_exist() -> None:
    settings = (TEMPLATE / ".env.example").read_text(encoding="utf-8")
    for page in ("leaves.md", "agent-builder.md"):
        text = (REPO / "docs" / page).read_text(encoding="utf-8")
        named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=\w+)?`", text))

        assert named
        assert [name for name in sorted(named) if name not in settings] == []


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """mkdocs warns of pages and headings that do not exist, and of pages outside of the menu."""
    command = ("mkdocs", "build", "--strict", "--site-dir", str(tmp_path))
    check(*command, cwd=REPO, NO_MKDOCS_2_WARNING="1")

    pages = [file.relative_to(REPO / "docs") for file in (REPO / "docs").rglob("*.md")]
    assert [page for page in pages if not (tmp_path / page.with_suffix(".html")).exists()] == []
    html = "".join(file.read_text(encoding="utf-8") for file in tmp_path.rglob("*.html"))
    assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?://', html) == []


def test_docstrings_say_what_happens_and_comments_stand_without_parentheses() -> None:
    """Docstrings begin with the noun or the verb, and not with a question."""
    question = re.compile(r'^\s*"""(?:What|Who|Whose|Whom|Whether)\b', re.M)
    parentheses = re.compile(r"^\s*# \([^()]*\)$", re.M)
    folders = (TEMPLATE, *(REPO / name for name in ("benchmarks", "hooks", "tests")))
    texts = {
        str(file.relative_to(REPO)): file.read_text(encoding="utf-8")
        for folder in folders
        for file in folder.rglob("*.py")
    }
    found = [
        f"{file}: {match[0].strip()}"
        for file, text in texts.items()
        for pattern in (question, parentheses)
        for match in pattern.finditer(text)
    ]
    assert found == []


def test_files_end_their_lines_alike() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--eol"],  # noqa: S607
        cwd=REPO,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout.splitlines()

    assert listed
    assert [line for line in listed if line.startswith(("i/crlf", "i/mixed"))] == []


def test_a_projects_server_is_started_alike_on_every_platform(look: Bake) -> None:
    """The unit of systemd has the options of the command."""
    for auth_style in ("anonymous", "proxy"):
        project = look(auth_style=auth_style, deploy="none")
        page = project.text("docs/deploy.md").replace("\\\n", " ")
        [unit] = re.findall(r"^ExecStart=\S+uvicorn (.*)$", page, re.M)
        [told] = re.findall(r"^\.venv/bin/uvicorn (.*)$", page, re.M)

        assert unit.replace("127.0.0.1", "0.0.0.0").split() == told.split()  # noqa: S104


class TestReleases:
    def test_the_newest_version_is_the_first_one(self) -> None:
        text = "# Changelog\n\n## Unreleased\n\n- c\n\n## [1.10.0] - 2026-12-01\n\n- b\n\n## [1.9.0] - 2026-11-30\n\n- a\n"

        release = newest_release(text)

        assert release is not None
        assert (release.version, release.changes) == ("1.10.0", "- b\n")

    def test_the_changelog_here_has_one(self) -> None:
        release = newest_release(CHANGELOG.read_text(encoding="utf-8"))

        assert release is not None
        assert release.changes

    def test_without_a_version_there_is_nothing_to_release(self) -> None:
        assert newest_release("# Changelog\n\n## Unreleased\n\n- a\n") is None


class TestNewest:
    def test_pins_are_raised_in_place(self) -> None:
        text, raised = with_versions("# kept\nA.b==1.0 # why\nc==2\n", {"a-b": "1.1", "c": "2"})

        assert text == "# kept\nA.b==1.1 # why\nc==2\n"
        assert raised == ["A.b 1.0 → 1.1"]

    def test_versions_in_the_engines_readme_are_raised(self) -> None:
        """A test of the projects compares them with the pins."""
        assert as_tested("`openai` 1.0.0, `x` 1.0", {"openai": "2"}) == "`openai` 2, `x` 1.0"

    def test_bounds_are_lifted(self) -> None:
        line = '"openai-agents>=0.24,<0.25", "c[d]>=1,<2", "e"'

        assert without_upper_bounds(line) == '"openai-agents>=0.24", "c[d]>=1", "e"'

    def test_every_bound_of_the_template_is_lifted(self) -> None:
        text = (TEMPLATE / "pyproject.toml").read_text(encoding="utf-8")

        assert "<" in "".join(re.findall(r'^ +"[^"]+",?$', text, re.M))
        assert re.findall(r'^ +"[\w\[\]-]+[^"]*<[^"]*",?$', without_upper_bounds(text), re.M) == []


class TestCast:
    def test_lines_appear_when_they_were_printed(self) -> None:
        lines = recorded("printf 'one\\n'; sleep 0.2; printf '\\033[32mtwo\\033[0m\\n'")
        svg = as_svg("two lines", lines)

        assert [line.text for line in lines] == ["one", "\x1b[32mtwo\x1b[0m"]
        assert lines[0].at <= lines[1].at
        assert lines[1].at >= 0.2
        assert re.search(r'class="[^"]*appears at-1"[^>]*>one<', svg)
        assert re.search(r'class="[^"]*appears at-2"[^>]*>two<', svg)
        assert "prefers-reduced-motion" in svg
        assert "url(http" not in svg.replace('"', "")

    def test_a_failed_run_is_no_recording(self) -> None:
        with pytest.raises(Failed, match="no such day"):
            recorded("echo no such day; exit 3")


@pytest.mark.skipif(os.name != "posix", reason="reads the mode of a file")
def test_ci_is_executable() -> None:
    assert os.access(REPO / ".ci" / "run", os.X_OK)
