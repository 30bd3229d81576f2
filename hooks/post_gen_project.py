"""Prunes what was not chosen, then hands over to the project's own `python -m app setup`."""

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# JSON inside a raw string stands whatever was answered: each of its quotes is escaped or alone.
ANSWERS: dict[str, Any] = json.loads(r"""{{ cookiecutter | tojson }}""")

# What several options share.
ATTACHMENTS = ("app/attachments.py", "engine/attachments", "engine/tests/attachments")
COOKIES = (
    "engine/auth/cookies.py",
    "engine/tests/auth/test_cookies.py",
    "engine/tests/web/launcher/test_headers.py",
)
DOCUMENTS = ("engine/toolkits/limited.py", "engine/tests/toolkits/test_limited.py")
SESSIONS = (
    *COOKIES,
    *("engine/auth/sessions", "engine/tests/auth/sessions"),
    *("engine/launcher/frames", "engine/tests/web/launcher/frames"),
    *("migrations/versions/0003_sessions.py", "migrations/versions/0011_frame_codes.py"),
    *("migrations/versions/0014_no_frame_codes.py", "migrations/versions/0015_frame_codes.py"),
)
IMAGES = ("Dockerfile", ".dockerignore", "nextjs/Dockerfile", "nextjs/Dockerfile.dockerignore")
TOKENS = (
    "engine/auth/tokens.py",
    "engine/tests/auth/identity_provider.py",
    "engine/tests/auth/test_tokens.py",
)

# Files and folders that only exist for some answers. One stays if each question that names it has an
# answer that names it.
FILES: dict[str, dict[str, tuple[str, ...]]] = {
    "agent_tools": {
        "chart": ("app/agent/tools/chart.py", "tests/tools/test_chart.py"),
        "documents": (
            *("app/agent/tools/documents.py", "tests/tools/test_documents.py"),
            *("engine/toolkits/documents.py", "engine/tests/toolkits/test_documents.py"),
            *DOCUMENTS,
        ),
        "email": (
            *("app/agent/tools/email.py", "tests/tools/test_email.py"),
            *("engine/toolkits/email", "tests/tools/mail_server.py"),
            *("migrations/versions/0006_emails.py", "migrations/versions/0008_email_days.py"),
        ),
        "image": ("app/agent/tools/image.py", "tests/tools/test_image.py"),
        "knowledge": (
            *("app/agent/tools/knowledge.py", "tests/tools/test_knowledge.py"),
            *("engine/toolkits/knowledge", "engine/tests/toolkits/knowledge"),
            *("engine/operate/commands/knowledge.py", "engine/tests/commands/test_knowledge.py"),
            *("migrations/versions/0005_knowledge.py", *DOCUMENTS),
        ),
        "mcp": (
            *("app/agent/tools/mcp.py", "tests/tools/test_mcp.py"),
            *("engine/toolkits/mcp_servers.py", "tests/tools/mcp_server.py"),
        ),
        "notes": (
            *("app/agent/tools/notes", "tests/tools/test_notes.py"),
            "migrations/versions/0002_notes.py",
        ),
        "page": (
            *("app/agent/tools/page.py", "tests/tools/test_page.py"),
            "engine/page/static/js/client-tools/look_at_page.js",
            "engine/page/static/js/effects/set_color_scheme.js",
            "engine/tests/web/js/look_at_page.test.js",
        ),
        "sql": (
            *("app/agent/tools/sql.py", "tests/tools/test_sql.py"),
            *("engine/toolkits/sql", "engine/tests/toolkits/sql"),
        ),
        "web_search": ("app/agent/tools/web_search.py", "tests/tools/test_web_search.py"),
    },
    "attachments": {
        "local": ("engine/attachments/local", "engine/tests/attachments/local", *ATTACHMENTS),
        "s3": (
            *ATTACHMENTS,
            *("engine/attachments/s3", "engine/tests/attachments/s3"),
        ),
    },
    "auth_style": {
        "anonymous": (
            *("engine/auth/anonymous", "engine/tests/auth/anonymous"),
            *("migrations/versions/0012_visitors.py", *COOKIES),
        ),
        "jwt": ("engine/auth/jwt.py", "engine/tests/auth/test_jwt.py", *TOKENS),
        "oidc": (
            *("engine/auth/oidc", "engine/tests/auth/oidc"),
            *("migrations/versions/0007_id_tokens.py", *SESSIONS),
        ),
        "password": (
            *("engine/auth/password", "engine/tests/auth/password"),
            "engine/operate/smoke_sign_in.py",
            *("engine/page/static/account.css", "engine/page/static/js/looks.js"),
            *("engine/operate/commands/users.py", "migrations/versions/0004_passwords.py"),
            *SESSIONS,
        ),
        "proxy": (
            *("engine/auth/proxy", "engine/tests/auth/proxy"),
            *TOKENS,
        ),
    },
    "dictation": {
        "yes": ("engine/dictation", "engine/tests/dictation"),
    },
    "host_page": {
        "nextjs": ("nextjs", "dev/nextjs.py", "dev/tests/test_nextjs.py"),
    },
    "deploy": {
        "compose": (*IMAGES, "compose.yaml"),
        "kubernetes": (*IMAGES, "deploy/kubernetes"),
    },
    "launcher": {
        "yes": (
            *("engine/launcher", "engine/page/static/launcher", "engine/tests/web/launcher"),
            "migrations/versions/0015_frame_codes.py",
        ),
    },
    "license": {"MIT": ("LICENSE",), "Apache-2.0": ("LICENSE",)},
    "model": {"litellm": ("engine/models/litellm", "engine/tests/agent/litellm")},
}


def main() -> None:
    project = Path.cwd()
    prune(project)
    if is_rendered_for_comparison(project):
        return
    init_repository(project)
    for line in chosen(ANSWERS):
        print(printable(line))
    if ANSWERS["host_page"] == "nextjs" and shutil.which("node") is None:
        print("The Next.js page needs Node.js, which is not here; all the rest works without it.")
    setup = os.environ.get("CHATKIT_SETUP", ANSWERS["setup"])
    if setup == "skip":
        print(f"Written to {printable(project)}. To set it up: {how_to_set_up(project)}")
    elif not set_up(project) and setup == "strict":
        print(f"What was made is also in {printable(keep_a_copy(project))}", file=sys.stderr)
        sys.exit(1)


def chosen(answers: dict[str, Any]) -> list[str]:
    """A table of what the project was made from."""
    tools = ", ".join(filter(None, answers["__tools"].split(","))) or "none"
    shown = {
        "agent_tools": tools,
        "setup": os.environ.get("CHATKIT_SETUP", answers["setup"]),
    }
    return [
        f"  {question:<18}  {shown.get(question, answer)}"
        for question, answer in answers.items()
        if not question.startswith("_")
    ]


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
        for question, options in FILES.items()
        for file in files_of_others(project, options, said[question].split(","))
    }
    return unwanted | translations_not_chosen(project, answers["languages"], unwanted)


def files_of_others(
    project: Path, options: dict[str, tuple[str, ...]], chosen: list[str]
) -> set[Path]:
    """Those that only other options of the question name."""
    kept = {name for option in chosen for name in options.get(option, ())}
    every = {name for names in options.values() for name in names}
    # In the order of their length: of two folders one in the other, the inner one counts.
    named = {file: name for name in sorted(every, key=len) for file in files_of(project / name)}
    return {file for file, name in named.items() if name not in kept}


def translations_not_chosen(project: Path, languages: str, unwanted: set[Path]) -> set[Path]:
    """`locales/de.po` is of a language. `locales/chart/de.po` belongs to the module `chart.py`."""
    chosen = {code.strip() for code in languages.split(",")}
    return {
        file
        for file in project.glob("**/locales/**/*.po")
        if file.stem not in chosen or file.parents[2] / f"{file.parent.name}.py" in unwanted
    }


def files_of(place: Path) -> set[Path]:
    """The file itself, or every file of the folder."""
    return {place} if place.is_file() else {file for file in place.rglob("*") if file.is_file()}


def is_rendered_for_comparison(project: Path) -> bool:
    """True under cruft's check, diff and update, which render into a temporary folder.

    `_commit` is in the context under cruft only. `cruft create` writes where the user asked.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    return "_commit" in ANSWERS and temporary in project.resolve().parents


def init_repository(project: Path) -> None:
    if any((folder / ".git").exists() for folder in (project, *project.parents)):
        return
    git = shutil.which("git")
    if git is not None:
        # Set where git itself started this, in a hook of another repository.
        others = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"}
        environment = {name: value for name, value in os.environ.items() if name not in others}
        subprocess.run([git, "init", "--quiet", str(project)], env=environment, check=False)


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
            # With PYTHONSAFEPATH, Python would not find the code in the present folder.
            env=os.environ | {"PYTHONPATH": str(project)},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except KeyboardInterrupt:
        return False
    return done.returncode == 0


def how_to_set_up(project: Path) -> str:
    safe_path = "PYTHONSAFEPATH= " if os.environ.get("PYTHONSAFEPATH") else ""
    return f"cd {shlex.quote(printable(project))} && {safe_path}python -m app setup"


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
