"""Prunes what was not chosen, then hands over to the project's own `python3 -m app setup`."""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# JSON inside a raw string stands whatever was answered: each of its quotes is escaped or alone.
ANSWERS: dict[str, Any] = json.loads(r"""{{ cookiecutter | tojson }}""")

# Files that belong to options, by question and option: `{option}` stands for the option's name. A place
# is a folder, a module (chart.py) or its test (test_chart.py); not every option has each. A file that
# several questions name is kept if the answer to each of them names it.
PLACES: dict[str, dict[str, tuple[str, ...]]] = {
    "agent_tools": {
        "chart documents email image knowledge mcp notes page sql web_search": (
            *("app/agent/tools/{option}", "tests/tools/{option}", "engine/migrations/{option}"),
            *("engine/toolkits/{option}", "engine/tests/toolkits/{option}"),
            *("engine/operate/commands/{option}", "engine/tests/commands/{option}"),
        ),
        "documents knowledge": ("engine/toolkits/limited", "engine/tests/toolkits/limited"),
        "page": (
            *("engine/page/static/js/client-tools", "engine/page/static/js/effects"),
            "engine/tests/web/js/look_at_page.test.js",
        ),
    },
    "attachments": {
        "local s3": (
            *("app/attachments", "engine/attachments", "engine/tests/attachments"),
            *("engine/attachments/{option}", "engine/tests/attachments/{option}"),
        ),
    },
    "auth_style": {
        "anonymous jwt oidc password proxy": (
            *("engine/auth/{option}", "engine/tests/auth/{option}", "engine/migrations/{option}"),
        ),
        "anonymous oidc password": (
            *("engine/auth/cookies", "engine/tests/auth/cookies"),
            "engine/tests/web/launcher/headers",
        ),
        "jwt proxy": ("engine/auth/tokens", "engine/tests/auth/tokens"),
        "oidc password": (
            *("engine/auth/sessions", "engine/tests/auth/sessions", "engine/migrations/sessions"),
            *("engine/launcher/frames", "engine/tests/web/launcher/frames"),
            "engine/migrations/frames",
        ),
        "password": (
            *("engine/operate/commands/users", "engine/operate/smoke_sign_in"),
            *("engine/page/static/account.css", "engine/page/static/js/looks.js"),
        ),
    },
    "deploy": {
        "compose": ("compose.yaml",),
        "kubernetes": ("deploy/kubernetes",),
        "compose kubernetes": (
            *("Dockerfile", ".dockerignore", ".github/workflows/image.yml"),
            *("nextjs/Dockerfile", "nextjs/Dockerfile.dockerignore"),
        ),
    },
    "dictation": {"yes": ("engine/dictation", "engine/tests/dictation")},
    "host_page": {"nextjs": ("nextjs", "dev/nextjs", "dev/tests/nextjs")},
    "launcher": {
        "yes": (
            *("engine/launcher", "engine/page/static/launcher", "engine/tests/web/launcher"),
            "engine/migrations/frames",
        ),
    },
    "license": {"MIT Apache-2.0": ("LICENSE",)},
    "model": {"litellm": ("engine/models/litellm", "engine/tests/agent/litellm")},
}


def main() -> None:
    project = Path.cwd()
    prune(project)
    if is_rendered_for_comparison(project):
        return
    remember_template(project)
    repository = repository_around(project)
    if repository is None:
        init_repository(project)
    if ANSWERS["host_page"] == "nextjs" and shutil.which("node") is None:
        print("The Next.js page needs Node.js, which is not here; all the rest works without it.")
    setup = os.environ.get("CHATKIT_SETUP", ANSWERS["setup"])
    if setup == "skip":
        print(printable(chosen(ANSWERS)))
        is_done = True
    else:
        is_done = set_up(project)
    for note in notes(project, repository) if repository else ():
        print(printable(note))
    if setup == "skip":
        print(f"Written to {printable(project)}. To set it up: {how_to_set_up(project)}")
    if not is_done and setup == "strict":
        print(f"What was made is also in {printable(keep_a_copy(project))}", file=sys.stderr)
        sys.exit(1)


def chosen(answers: dict[str, Any]) -> str:
    """A table of what the project was made from."""
    tools = ", ".join(filter(None, answers["__tools"].split(","))) or "none"
    shown = {
        "agent_tools": tools,
        "setup": os.environ.get("CHATKIT_SETUP", answers["setup"]),
    }
    return "\n".join(
        f"  {question:<18}  {shown.get(question, answer)}"
        for question, answer in answers.items()
        if not question.startswith("_")
    )


def prune(project: Path) -> None:
    for file in sorted(files_not_chosen(project, ANSWERS)):
        file.unlink()
        for folder in itertools.takewhile(lambda parent: parent != project, file.parents):
            if not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def files_not_chosen(project: Path, answers: dict[str, Any]) -> set[Path]:
    said = answers | {"agent_tools": answers["__tools"], "model": answers["__models"]}
    unwanted = {
        file
        for question in PLACES
        for file in files_of_others(project, question, said[question].split(","))
    }
    return unwanted | translations_not_chosen(project, answers["languages"], unwanted)


def files_of_others(project: Path, question: str, chosen: list[str]) -> set[Path]:
    """Those that only other options of the question name."""
    places = places_of(question)
    kept = {name for option in chosen for name in places.get(option, ())}
    every = {name for names in places.values() for name in names}
    # In the order of their length: of two folders one in the other, the inner one counts.
    named = {file: name for name in sorted(every, key=len) for file in files_of(project / name)}
    return {file for file, name in named.items() if name not in kept}


def places_of(question: str) -> dict[str, list[str]]:
    """The places of each option."""
    places: dict[str, list[str]] = {}
    for options, names in PLACES[question].items():
        for option in options.split():
            places.setdefault(option, []).extend(name.format(option=option) for name in names)
    return places


def translations_not_chosen(project: Path, languages: str, unwanted: set[Path]) -> set[Path]:
    """`locales/de.po` is of a language. `locales/chart/de.po` belongs to the module `chart.py`."""
    chosen = {code.strip() for code in languages.split(",")}
    return {
        file
        for file in project.glob("**/locales/**/*.po")
        if file.stem not in chosen or file.parents[2] / f"{file.parent.name}.py" in unwanted
    }


def files_of(place: Path) -> set[Path]:
    """The file itself, the module of that name and its tests, or every file of the folder."""
    modules = (place, place.with_name(f"{place.name}.py"), place.with_name(f"test_{place.name}.py"))
    return {file for path in modules for file in (path, *path.rglob("*")) if file.is_file()}


def is_rendered_for_comparison(project: Path) -> bool:
    """True under cruft's check, diff and update, which render into a temporary folder.

    `_commit` is in the context under cruft only. `cruft create` writes where the user asked.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    return "_commit" in ANSWERS and temporary in project.resolve().parents


def remember_template(project: Path) -> None:
    """Write what `cruft update` needs to know, as `cruft create` does."""
    source = Path(ANSWERS.get("_repo_dir") or os.devnull)
    if "_commit" in ANSWERS or git(source, "rev-parse", "--show-prefix", "HEAD") is None:
        return
    prefix, commit = str(git(source, "rev-parse", "--show-prefix", "HEAD")).split("\n")[:2]
    if prefix:
        return  # a copy in another repository
    address = str(ANSWERS["_template"])
    # `source` is a copy. A folder's name is relative to where Cookiecutter was started.
    here = Path(os.environ.get("PWD", ""), os.path.expanduser(address))
    origin = git(source, "remote", "get-url", "origin")
    template = str(here.resolve()) if here.exists() else origin or address
    answers = {name: value for name, value in ANSWERS.items() if not name.startswith("_")}
    kept = {
        "template": template,
        "commit": commit,
        "checkout": ANSWERS.get("_checkout") or None,
        "context": {"cookiecutter": answers | {"_template": template, "_commit": commit}},
        "directory": None,
    }
    text = json.dumps(kept, ensure_ascii=False, indent=2)
    (project / ".cruft.json").write_text(f"{text}\n", encoding="utf-8")


def git(folder: Path, *words: str) -> str | None:
    """The output of a git command in a folder; None without git or without a repository."""
    program = shutil.which("git")
    if program is None or not folder.is_dir():
        return None
    # Set where git itself started this, in a hook of another repository.
    others = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"}
    done = subprocess.run(
        [program, *words],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in others},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


def repository_around(project: Path) -> Path | None:
    """The root of the Git repository that the project is in."""
    folders = (project, *project.parents)
    return next((folder for folder in folders if (folder / ".git").exists()), None)


def init_repository(project: Path) -> None:
    git(project, "init", "--quiet")


def notes(project: Path, repository: Path) -> list[str]:
    """Lines about changes that the repository around the project needs. None is made here."""
    if repository == project:
        return []
    place = project.relative_to(repository).as_posix()
    ignored = ignored_by_others(project)
    if ignored == ["."]:
        return [f"The repository around it does not commit it: its .gitignore leaves out {place}/"]
    found = []
    if (project / ".github").exists():
        folder = {"run": {"working-directory": place}}
        found.append(
            "GitHub runs workflows at the repository's root only. To run this project's: copy "
            f"{place}/.github/workflows/ci.yml to .github/workflows/{project.name}.yml, and add to "
            f"it: defaults: {json.dumps(folder)}"
        )
    if (repository / ".pre-commit-config.yaml").exists():
        found.append(
            "The repository's pre-commit hooks also check this project, which has checks of its "
            f"own. To leave it out, add to .pre-commit-config.yaml: exclude: ^{re.escape(place)}/"
        )
    if ignored:
        found.append(
            f"The repository's .gitignore leaves out files of this project: {', '.join(ignored)}. "
            f"To commit them: git -C {shlex.quote(place)} add --force "
            f"{' '.join(map(shlex.quote, ignored))}"
        )
    return ["", "In the repository around it, where nothing was changed:", *found] if found else []


def ignored_by_others(project: Path) -> list[str]:
    """The project's files that a .gitignore outside of the project leaves out; "." means all."""
    names = [file.relative_to(project).as_posix() for file in files_of(project)]
    listed = ("ls-files", "--others", "--ignored", "-z")
    said = git(project, *listed, "--exclude-standard") or ""
    own = git(project, *listed, f"--exclude-from={project / '.gitignore'}") or ""
    ignored = {*said.split("\0")} & {*names} - {*own.split("\0")}
    return ["."] if "pyproject.toml" in ignored else sorted(ignored)


def set_up(project: Path) -> bool:
    """Run the project's own setup, which reports its steps and says how to go on after a failure.

    True when it is through.
    """
    if sys.version_info < (3, 11):
        print("Setting the project up needs Python 3.11 or newer.", file=sys.stderr)
        print(f"Nothing is lost. To go on with one: {how_to_set_up(project)}", file=sys.stderr)
        return False
    try:
        done = subprocess.run(
            [sys.executable, "-m", "app", "setup"],
            cwd=project,
            # With PYTHONSAFEPATH, Python would not find the code in the present folder. Setup prints
            # the answers when it is done.
            env=os.environ | {"PYTHONPATH": str(project), "CHATKIT_ANSWERS": chosen(ANSWERS)},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except KeyboardInterrupt:
        return False
    return done.returncode == 0


def how_to_set_up(project: Path) -> str:
    safe_path = "PYTHONSAFEPATH= " if os.environ.get("PYTHONSAFEPATH") else ""
    return f"cd {shlex.quote(printable(project))}; {safe_path}python3 -m app setup"


def keep_a_copy(project: Path) -> Path:
    """Copy what cannot be made again to a folder beside.

    Cookiecutter deletes the folder of a hook that fails, unless it was told
    `--keep-project-on-failure`, which a hook cannot see.
    """
    names = itertools.chain(("",), (f"-{number}" for number in itertools.count(2)))
    candidates = (project.with_name(f"{project.name}.failed{name}") for name in names)
    target = next(candidate for candidate in candidates if not candidate.exists())
    remade = shutil.ignore_patterns(".venv", "postgres", "__pycache__")
    shutil.copytree(project, target, symlinks=True, ignore=remade)
    return target


def printable(text: object) -> str:
    """A path or another text as this terminal can show it."""
    encoding = sys.stdout.encoding or "ascii"
    return str(text).encode(encoding, "backslashreplace").decode(encoding)


if __name__ == "__main__":
    main()
