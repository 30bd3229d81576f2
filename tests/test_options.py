"""The files, wiring line, dependency and tests of each option are consistent."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import PurePath

import pytest
from conftest import QUESTIONS, REPO, TEMPLATE, Bake, clean_environment, hook

POST_GEN = hook("post_gen_project")
# The places of each option, by question.
TABLE: dict[str, dict[str, list[str]]] = {
    question: POST_GEN.places_of(question) for question in POST_GEN.PLACES
}
OPTIONS = [(question, option) for question, options in TABLE.items() for option in options]

# Dependencies of an option, compared with those for `WITHOUT`.
DEPENDENCIES = {
    "anonymous": {"itsdangerous"},
    "jwt": {"pyjwt[crypto]"},
    "oidc": {"authlib"},
    "password": {"jinja2", "pwdlib[argon2]", "zxcvbn"},
    "proxy": {"pyjwt[crypto]"},
    "sql": {"sqlglot"},
    "email": {"aiosmtplib"},
    "knowledge": {"beautifulsoup4", "pypdf", "python-docx"},
    "documents": {"beautifulsoup4", "pypdf", "python-docx"},
    "local": {"puremagic", "python-multipart"},
    "s3": {"aiobotocore"},
    "yes": {"av"},
    "litellm": {"openai-agents[litellm]"},
}

# Words that must not occur in a project without the option.
TRACES = {
    "notes": r"\bnotes\b|\bNOTES\b|[a-z]_notes?\b|\bNote[A-Z]",
    "knowledge": r"[./ ]knowledge\b(?!\.$)|Knowledge[A-Z]|KNOWLEDGE|pypdf|python-docx|beautifulsoup",
    "mcp": r"\b[Mm]cp\b|\bMCP|\bmcp_|Mcp[A-Z]",
    "sql": r"sqlglot|\banalytics\b|[Aa]nalytics_?(?:[Dd]atabase|DATABASE)|ANALYTICS|tools.sql\b",
    "web_search": r"\bweb_search\b|\bWEB_SEARCH\b|WebSearchTool|(?i:web search)",
    "chart": r"\bchart\b|\bCHART\b|draw_chart",
    "page": r"tools[./]page|import PAGE\b|look_at_page|lookAtPage|set_color_scheme|setColorScheme",
    "email": r"tools[./]email|\bEMAIL|draft_email|aiosmtp|email_rows|_emails\b|email_days|mail_server",
    "anonymous": r"anonymous",
    "jwt": r"\bjwt\b|pyjwt|jwks|JWT|JWKS",
    "password": r"pwdlib|argon|zxcvbn|PasswordAuth|sign[-_]?up|SIGN_|accounts\b|app users|jinja",
    "oidc": r"(?i:\boidc\b|oidc_|openid|authlib|id_token)",
    "proxy": r"\bPROXY_|auth[./]proxy|ProxyAuth|untrusted_proxy|oauth2-proxy|X-Forwarded-User",
    "documents": r"\bDOCUMENTS\b|pypdf|python-docx|toolkits[./]documents|read_file",
    "image": r"\bIMAGE\b|ImageGenerationTool|StoredImages|tools/image",
    "local": r"ATTACHMENT_|puremagic|multipart|uploadStrategy|LocalAttachments|\"/attachments",
    "nextjs": r"(?i:next\.?js)|NEXT_TELEMETRY|next/|BACKEND_URL|(?i:\breact\b)|:3000\b",
    "yes": r"DICTATION_|\bSpeech\b|import av\b|\"av\"",
    "launcher": r"(?i:launcher|embed\.js|\bembedd(?:ing\b|ed-page|ed\.js)|data-embedded|frame[ _]?code|partitioned;)",
    "compose": r"(?i:docker|compose\.yaml|docker.compose)",
    "kubernetes": r"(?i:kubernetes|kubectl|kustomiz)",
    "litellm": r"(?i:litellm)|ANTHROPIC",
    "s3": r"\bS3_|\bS3[A-Z][a-z]|\bs3\b|\bboto|aioboto|\bmoto\b",
}

WITHOUT = {
    "notes": {"agent_tools": "web_search"},
    "knowledge": {"agent_tools": "notes"},
    "mcp": {"agent_tools": "notes"},
    "sql": {"agent_tools": "notes"},
    "web_search": {"agent_tools": "notes"},
    "chart": {"agent_tools": "notes"},
    "page": {"agent_tools": "notes"},
    "email": {"agent_tools": "notes"},
    "anonymous": {"auth_style": "jwt"},
    "jwt": {"auth_style": "anonymous"},
    "password": {"auth_style": "anonymous"},
    "oidc": {"auth_style": "anonymous"},
    "proxy": {"auth_style": "anonymous"},
    "documents": {"agent_tools": "notes", "attachments": "local"},
    "image": {"agent_tools": "notes", "attachments": "local"},
    "local": {"attachments": "none"},
    "s3": {"attachments": "local"},
    "yes": {"dictation": "no"},
    "nextjs": {"host_page": "plain"},
    "launcher": {"launcher": "no"},
    "compose": {"deploy": "none"},
    "kubernetes": {"deploy": "compose"},
    "litellm": {"model": "gpt-test"},
}
# Other questions whose answers bring more of an option, or of what must not be left of it.
BESIDE = {
    "launcher": {"auth_style": "password"},
    "compose": {"host_page": "nextjs"},
    "kubernetes": {"host_page": "nextjs"},
    "oidc": {"launcher": "yes"},
    "password": {"launcher": "yes"},
}
# They added frame codes to every table of sessions, and take them out of it.
OLD_FRAME_CODES = {
    "migrations/versions/sessions/0003_sessions.py",
    "migrations/versions/sessions/0011_frame_codes.py",
    "migrations/versions/sessions/0014_no_frame_codes.py",
}
# An option that is part of an answer.
ANSWERS = {"litellm": "litellm/anthropic/claude-sonnet-5"}
# Answers for "no option".
NOTHING = {"none", "no"}
# The folder of a question's modules, and their wiring file.
PLACES = {
    "agent_tools": ("app/agent/tools", "app/agent/tool_list.py"),
    "attachments": ("engine/attachments", "app/attachments.py"),
    "auth_style": ("engine/auth", "app/auth.py"),
    "dictation": ("engine/dictation", "app/main.py"),
}
# Questions whose options are not modules of the application.
WITHOUT_MODULE = {"deploy", "host_page", "launcher", "license", "model"}

PRINT_NAMES = """
import json
from engine.database.database import TABLE_PREFIX
from engine.database.tables import import_rows, metadata
import_rows("app")
names = {f"{TABLE_PREFIX}alembic_version_pkc"}
for table in metadata().tables.values():
    names |= {table.name}
    names |= {str(c.name) for c in table.constraints if c.name}
    names |= {str(index.name) for index in table.indexes}
    names |= {f"{table.name}_{column.name}_seq" for column in table.columns if column.identity}
print(json.dumps(sorted(names)))
"""


def test_the_table_has_every_option() -> None:
    assert set(TABLE["agent_tools"]) == set(QUESTIONS["_tools"])
    assert set(TABLE["auth_style"]) == set(QUESTIONS["auth_style"])
    assert set(TABLE["attachments"]) == set(QUESTIONS["attachments"]) - {"none"}
    assert set(TABLE["dictation"]) == set(QUESTIONS["dictation"]) - {"no"}
    assert set(TABLE["host_page"]) == set(QUESTIONS["host_page"]) - {"plain"}
    assert set(TABLE["launcher"]) == set(QUESTIONS["launcher"]) - {"no"}
    assert set(TABLE["deploy"]) == set(QUESTIONS["deploy"]) - {"none"}
    assert set(TABLE["license"]) == set(QUESTIONS["license"]) - {"none"}
    assert set(TABLE["model"]) == {"litellm"}


def test_the_table_fits_on_one_screen() -> None:
    text = (REPO / "hooks" / "post_gen_project.py").read_text(encoding="utf-8")
    table = text[text.index("\nPLACES") : text.index("\n}\n")]

    assert len(table.splitlines()) <= 60


def test_every_place_of_the_table_is_in_the_template() -> None:
    missing = [
        (question, place)
        for question, rows in POST_GEN.PLACES.items()
        for options, places in rows.items()
        for place in places
        if not any(files_at(place.format(option=option)) for option in options.split())
    ]

    assert missing == []


@pytest.mark.parametrize(("question", "option"), OPTIONS)
def test_an_option_has_files_in_the_template(question: str, option: str) -> None:
    assert any(map(files_at, TABLE[question][option]))


def files_at(place: str) -> set[str]:
    """The names of the template's files at a place of the table."""
    return {str(file.relative_to(TEMPLATE)) for file in POST_GEN.files_of(TEMPLATE / place)}


@pytest.mark.parametrize(
    "folder",
    [
        "app/agent/tools",
        "engine/attachments",
        "engine/auth",
        "engine/dictation",
        "engine/tests/auth",
        "tests/tools",
    ],
)
def test_every_module_that_belongs_to_an_option_is_in_the_table(folder: str) -> None:
    common = {
        "__init__.py",
        "base.py",
        "credentials.py",
        "current.py",
        "header.py",
        "same_origin.py",
        "test_current.py",
        "test_results.py",
        "test_statements.py",
        "test_same_origin.py",
    }
    listed = {
        file
        for options in TABLE.values()
        for places in options.values()
        for place in places
        for file in files_at(place)
    }

    modules = {file for file in (TEMPLATE / folder).glob("*.py") if file.name not in common}

    assert {str(file.relative_to(TEMPLATE)) for file in modules} - listed == set()


@pytest.mark.parametrize(
    ("question", "option"),
    [row for row in OPTIONS if row[0] not in WITHOUT_MODULE and row[1] not in NOTHING],
)
def test_an_option_has_its_module_its_test_and_its_wiring(question: str, option: str) -> None:
    folder, wired = PLACES[question]
    module = {"yes": "speech"}.get(option, option)
    wiring = (TEMPLATE / wired).read_text(encoding="utf-8")

    files = {file for place in TABLE[question][option] for file in files_at(place)}
    tests = "tests/tools" if folder == "app/agent/tools" else f"engine/tests/{folder[7:]}"
    assert any(is_in(file, f"{folder}/{module}") for file in files)
    assert any(is_in(file, tests) and "/test_" in file for file in files)
    assert len(re.findall(rf"from {folder.replace('/', '.')}.{module}[. ].*import", wiring)) == 1


def is_in(file: str, place: str) -> bool:
    """True for the module of that name, and for what is in the folder of that name."""
    return place in {file.removesuffix(".py"), *map(str, PurePath(file).parents)}


def test_every_check_of_an_option_is_one_of_doctors() -> None:
    wired = re.findall(
        r'"(engine\.[\w.]*doctor)"', (TEMPLATE / "app/commands.py").read_text("utf-8")
    )
    there = [
        ".".join(file.relative_to(TEMPLATE).with_suffix("").parts)
        for room in ("attachments", "auth", "dictation", "models", "toolkits")
        for file in (TEMPLATE / "engine" / room).rglob("doctor.py")
    ]

    assert sorted(name for name in wired if ".operate." not in name) == sorted(there)
    assert there != []


@pytest.mark.parametrize("option", WITHOUT)
def test_an_option_that_was_not_chosen_leaves_no_trace(look: Bake, option: str) -> None:
    project = look(**answers_without(option))
    pattern = re.compile(TRACES[option])

    traces = [
        f"{name}:{number}: {line.strip()}"
        for name, text in project.files().items()
        # constraints.txt is the same in every project; a migration tells what was before it.
        if name != "constraints.txt" and not (name in OLD_FRAME_CODES and option == "launcher")
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(f"{name} {line}" if number == 1 else line)
    ]

    assert traces == []


@pytest.mark.parametrize("option", WITHOUT)
def test_a_chosen_option_is_present(look: Bake, option: str) -> None:
    question = question_of(option)
    project = look(**{"launcher": "yes", "languages": "de"} | answers_with(option))

    own = TABLE[question][answer_of(option)]
    files = {file for place in own for file in files_at(place)}
    others = {place for places in TABLE[question].values() for place in places if place not in own}
    of_others = {file for place in others for file in files_at(place)}
    of_others |= {file for file in files if "/locales/" in file and not file.endswith("/de.po")}
    assert [file for file in sorted(files - of_others) if not project.has(file)] == []


@pytest.mark.parametrize("option", WITHOUT)
def test_a_dependency_is_only_added_by_its_option(look: Bake, option: str) -> None:
    gained = dependencies(look, **answers_with(option)) - dependencies(
        look, **answers_without(option)
    )

    assert gained == DEPENDENCIES.get(option, set())


def question_of(option: str) -> str:
    return option if option in QUESTIONS else next(q for q, name in OPTIONS if name == option)


def answer_of(option: str) -> str:
    """An option that is called as its question is its `yes`."""
    return "yes" if option in QUESTIONS else option


def answers_with(option: str) -> dict[str, str]:
    """Answers with the option, and with the options that it needs."""
    needed, without = hook("pre_gen_project").NEEDS.get(option, ("", ""))
    others = [value for value in QUESTIONS.get(needed, ()) if value != without]
    return {
        **BESIDE.get(option, {}),
        question_of(option): ANSWERS.get(option, answer_of(option)),
        **({needed: others[0]} if needed else {}),
    }


def answers_without(option: str) -> dict[str, str]:
    """Another one chosen."""
    return BESIDE.get(option, {}) | WITHOUT[option]


def test_all_tools_are_those_that_work_with_the_other_answers() -> None:
    needs = hook("pre_gen_project").NEEDS

    assert {tool for tool in needs if needs[tool] == ("attachments", "none")} == set(
        QUESTIONS["_attachment_tools"]
    )
    assert set(needs) == set(QUESTIONS["_attachment_tools"])


def dependencies(look: Bake, **answers: str) -> set[str]:
    metadata = tomllib.loads(look(**answers).text("pyproject.toml"))
    return set(metadata["project"]["dependencies"])


def test_without_tools_there_is_no_empty_folder(look: Bake) -> None:
    project = look(agent_tools="none", license="none")

    inside = [path for path in project.path.rglob("*") if ".git" not in path.parts]
    assert [path for path in inside if path.is_dir() and not any(path.iterdir())] == []
    assert not project.has("LICENSE")


@pytest.mark.parametrize(
    ("license", "words"),
    [("MIT", "Permission is hereby granted"), ("Apache-2.0", "Version 2.0, January 2004")],
)
def test_the_license_is_the_chosen_one(look: Bake, license: str, words: str) -> None:
    text = look(license=license, author_name="Ada").text("LICENSE")

    assert words in text
    assert "Copyright" in text
    assert "Ada" in text
    assert text[0] != "\n"


def test_the_hook_knows_the_longest_name_in_the_database(look: Bake) -> None:
    project = look(agent_tools="all", table_prefix="p_")
    printed = subprocess.run(
        [sys.executable, "-c", PRINT_NAMES],
        cwd=project.path,
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    names: list[str] = json.loads(printed.stdout)

    assert all(name.startswith("p_") for name in names)
    longest = max((name.removeprefix("p_") for name in names), key=len)
    assert len(longest) == len(hook("pre_gen_project").LONGEST_NAME)
    assert f"p_{hook('pre_gen_project').LONGEST_NAME}" in names
