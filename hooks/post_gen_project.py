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

# What attachments need, wherever their bytes are kept.
ATTACHMENTS = (
    "engine/attachments/files.py",
    "engine/attachments/inline.py",
    "engine/attachments/links.py",
    "engine/attachments/reading.py",
    "engine/attachments/routes.py",
    "engine/attachments/service.py",
    "engine/attachments/settings.py",
    "engine/attachments/sweeper.py",
    "engine/attachments/texts.py",
    "engine/attachments/types.py",
    "engine/attachments/rows.py",
    "tests/attachments/conftest.py",
    "tests/attachments/samples.py",
    "tests/attachments/test_inline.py",
    "tests/attachments/test_limits.py",
    "tests/attachments/test_links.py",
    "tests/attachments/test_owners.py",
    "tests/attachments/test_reading.py",
    "tests/attachments/test_sweeper.py",
    "tests/attachments/test_types.py",
)

# Of the styles that keep sessions in the database.
SESSION_FILES = (
    "engine/auth/cookies.py",
    "engine/auth/form_texts.py",
    "engine/auth/forms.py",
    "engine/auth/frame_texts.py",
    "engine/auth/frames.py",
    "engine/auth/sessions.py",
    "engine/auth/session_rows.py",
    "engine/page/static/js/signed-in.js",
    "migrations/versions/0003_sessions.py",
    "migrations/versions/0011_frame_codes.py",
    "tests/auth/test_cookies.py",
    "tests/auth/test_forms.py",
    "tests/auth/test_frames.py",
    "tests/auth/test_sessions.py",
    "tests/web/js/signed-in.test.js",
)
# Of those in which cookies, which a browser adds by itself, say who is asking.
ORIGIN_FILES = ("engine/auth/same_origin.py", "tests/auth/test_same_origin.py")
# Of those that read signed tokens.
TOKEN_FILES = (
    "engine/auth/tokens.py",
    "tests/auth/identity_provider.py",
    "tests/auth/test_tokens.py",
)

# Files that only exist for some answers. One stays if any chosen option names it.
FILES: dict[str, dict[str, tuple[str, ...]]] = {
    "agent_tools": {
        "documents": (
            "app/agent/tools/documents.py",
            "engine/toolkits/documents.py",
            "engine/toolkits/limited.py",
            "tests/agent/tools/test_documents.py",
            "tests/test_documents.py",
            "tests/test_limited.py",
        ),
        "image": ("app/agent/tools/image.py", "tests/agent/tools/test_image.py"),
        "notes": (
            "app/agent/tools/notes.py",
            "app/agent/tools/note_rows.py",
            "migrations/versions/0002_notes.py",
            "tests/agent/tools/test_notes.py",
        ),
        "knowledge": (
            "app/agent/tools/knowledge.py",
            "engine/operate/commands/knowledge.py",
            "engine/toolkits/knowledge/__init__.py",
            "engine/toolkits/knowledge/passages.py",
            "engine/toolkits/knowledge/reader.py",
            "engine/toolkits/limited.py",
            "engine/toolkits/knowledge/rows.py",
            "migrations/versions/0005_knowledge.py",
            "tests/agent/tools/test_knowledge.py",
            "tests/commands/test_knowledge.py",
            "tests/knowledge/__init__.py",
            "tests/knowledge/test_reader.py",
            "tests/test_limited.py",
        ),
        "mcp": (
            "engine/toolkits/mcp_servers.py",
            "app/agent/tools/mcp.py",
            "tests/agent/mcp_server.py",
            "tests/agent/tools/test_mcp.py",
        ),
        "sql": (
            "app/agent/tools/sql.py",
            "engine/toolkits/sql/__init__.py",
            "engine/toolkits/sql/calls.py",
            "engine/toolkits/sql/database.py",
            "engine/toolkits/sql/growth.py",
            "engine/toolkits/sql/guard.py",
            "tests/agent/tools/test_sql.py",
            "tests/analytics/__init__.py",
            "tests/analytics/conftest.py",
            "tests/analytics/shop.py",
            "tests/analytics/test_database.py",
            "tests/analytics/test_guard.py",
            "tests/analytics/test_role.py",
        ),
        "web_search": (
            "app/agent/tools/web_search.py",
            "tests/agent/tools/test_web_search.py",
        ),
        "chart": (
            "app/agent/tools/chart.py",
            "tests/agent/tools/test_chart.py",
        ),
        "page": (
            "app/agent/tools/page.py",
            "engine/page/static/js/client-tools/look_at_page.js",
            "engine/page/static/js/effects/set_color_scheme.js",
            "tests/agent/tools/test_page.py",
            "tests/web/js/look_at_page.test.js",
        ),
        "email": (
            "engine/toolkits/mail.py",
            "app/agent/tools/email.py",
            "engine/toolkits/email_rows.py",
            "migrations/versions/0006_emails.py",
            "migrations/versions/0008_email_days.py",
            "tests/agent/tools/test_email.py",
            "tests/mail_server.py",
        ),
    },
    "attachments": {
        "none": ("tests/attachments/test_none.py",),
        "local": (
            *ATTACHMENTS,
            "engine/attachments/local.py",
            "engine/attachments/upload.py",
            "engine/attachments/upload_texts.py",
            "tests/attachments/local.py",
            "tests/attachments/test_local.py",
        ),
        "s3": (
            *ATTACHMENTS,
            "engine/attachments/s3.py",
            "engine/attachments/s3_addresses.py",
            "engine/attachments/s3_clients.py",
            "engine/attachments/s3_faults.py",
            "engine/attachments/s3_settings.py",
            "dev/doctor_s3.py",
            "tests/attachments/s3.py",
            "tests/attachments/s3_front.py",
            "tests/attachments/test_s3.py",
            "tests/attachments/test_s3_addresses.py",
            "tests/attachments/test_s3_credentials.py",
            "tests/attachments/test_s3_deletion.py",
            "tests/attachments/test_s3_faults.py",
            "tests/dev/test_doctor_s3.py",
        ),
    },
    "auth_style": {
        "anonymous": (
            "engine/auth/anonymous.py",
            "engine/auth/cookies.py",
            "engine/auth/visitors.py",
            "engine/auth/visitor_rows.py",
            "migrations/versions/0012_visitors.py",
            "tests/auth/test_anonymous.py",
            "tests/auth/test_cookies.py",
            "tests/auth/test_visitors.py",
            *ORIGIN_FILES,
        ),
        "jwt": ("engine/auth/jwt.py", "tests/auth/test_jwt.py", *TOKEN_FILES),
        "oidc": (
            *SESSION_FILES,
            *ORIGIN_FILES,
            "engine/auth/oidc.py",
            "engine/auth/oidc_texts.py",
            "engine/auth/openid.py",
            "dev/doctor_openid.py",
            "engine/auth/id_token_rows.py",
            "migrations/versions/0007_id_tokens.py",
            "tests/auth/openid_provider.py",
            "tests/auth/test_oidc.py",
        ),
        "password": (
            *SESSION_FILES,
            *ORIGIN_FILES,
            "engine/auth/account_pages.py",
            "engine/auth/account_texts.py",
            "engine/auth/accounts.py",
            "engine/auth/password.py",
            "engine/auth/templates/account.html",
            "engine/auth/templates/layout.html",
            "engine/auth/templates/sign_in.html",
            "engine/auth/templates/sign_up.html",
            "engine/operate/commands/users.py",
            "dev/smoke_sign_in.py",
            "engine/auth/account_rows.py",
            "engine/page/static/account.css",
            "engine/page/static/js/looks.js",
            "migrations/versions/0004_passwords.py",
            "tests/auth/test_accounts.py",
            "tests/auth/test_ended.py",
            "tests/auth/test_password.py",
            "tests/auth/test_users_command.py",
        ),
        "proxy": (
            *TOKEN_FILES,
            *ORIGIN_FILES,
            "engine/auth/load_balancer.py",
            "engine/auth/proxy.py",
            "tests/auth/test_load_balancer.py",
            "tests/auth/test_proxy.py",
        ),
    },
    "dictation": {
        "yes": (
            "engine/dictation/speech.py",
            "engine/dictation/texts.py",
            "tests/dictation/test_speech.py",
        ),
    },
    "host_page": {
        "nextjs": (
            "dev/doctor_nextjs.py",
            "dev/nextjs.py",
            "nextjs/.gitignore",
            "nextjs/.npmrc",
            "nextjs/Dockerfile",
            "nextjs/Dockerfile.dockerignore",
            "nextjs/app/[...path]/route.ts",
            "nextjs/app/chat.tsx",
            "nextjs/app/layout.tsx",
            "nextjs/app/page.tsx",
            "nextjs/backend.ts",
            "nextjs/next.config.ts",
            "nextjs/openai-chatkit.d.ts",
            "nextjs/package-lock.json",
            "nextjs/package.json",
            "nextjs/proxy.ts",
            "nextjs/security.ts",
            "nextjs/tsconfig.json",
            "tests/dev/test_nextjs.py",
        ),
    },
    "license": {
        "MIT": ("LICENSE",),
        "Apache-2.0": ("LICENSE",),
    },
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
    for name in sorted(files_not_chosen(ANSWERS)):
        file = project / name
        file.unlink()
        for folder in itertools.takewhile(lambda parent: parent != project, file.parents):
            if not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def files_not_chosen(answers: dict[str, Any]) -> set[str]:
    chosen = {
        "agent_tools": set(answers["__tools"].split(",")),
        "attachments": {answers["attachments"]},
        "auth_style": {answers["auth_style"]},
        "dictation": {answers["dictation"]},
        "host_page": {answers["host_page"]},
        "license": {answers["license"]},
    }
    kept, all_files = set(), set()
    for question, options in FILES.items():
        for option, names in options.items():
            all_files.update(names)
            if option in chosen[question]:
                kept.update(names)
    return all_files - kept


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
