"""The files, wiring line, dependency and tests of each option are consistent."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import PurePath

import pytest
from conftest import QUESTIONS, TEMPLATE, Bake, clean_environment, hook

FILES: dict[str, dict[str, tuple[str, ...]]] = hook("post_gen_project").FILES
OPTIONS = [(question, option) for question, options in FILES.items() for option in options]

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
    assert set(FILES["agent_tools"]) == set(QUESTIONS["_tools"])
    assert set(FILES["auth_style"]) == set(QUESTIONS["auth_style"])
    assert set(FILES["attachments"]) == set(QUESTIONS["attachments"]) - {"none"}
    assert set(FILES["dictation"]) == set(QUESTIONS["dictation"]) - {"no"}
    assert set(FILES["host_page"]) == set(QUESTIONS["host_page"]) - {"plain"}
    assert set(FILES["launcher"]) == set(QUESTIONS["launcher"]) - {"no"}
    assert set(FILES["deploy"]) == set(QUESTIONS["deploy"]) - {"none"}
    assert set(FILES["license"]) == set(QUESTIONS["license"]) - {"none"}
    assert set(FILES["model"]) == {"litellm"}


@pytest.mark.parametrize(("question", "option"), OPTIONS)
def test_the_files_of_an_option_are_in_the_template(question: str, option: str) -> None:
    missing = [
        name for name in FILES[question][answer_of(option)] if not (TEMPLATE / name).exists()
    ]

    assert missing == []


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
    listed = {name for options in FILES.values() for names in options.values() for name in names}

    modules = {file for file in (TEMPLATE / folder).glob("*.py") if file.name not in common}

    names = {str(file.relative_to(TEMPLATE)) for file in modules}
    assert {name for name in names if not holds(listed, name)} == set()


@pytest.mark.parametrize(
    ("question", "option"),
    [row for row in OPTIONS if row[0] not in WITHOUT_MODULE and row[1] not in NOTHING],
)
def test_an_option_has_its_module_its_test_and_its_wiring(question: str, option: str) -> None:
    folder, wired = PLACES[question]
    module = {"yes": "speech"}.get(option, option)
    wiring = (TEMPLATE / wired).read_text(encoding="utf-8")

    names = set(FILES[question][option])
    assert holds(names, f"{folder}/{module}.py") or f"{folder}/{module}" in names
    assert names & proof_of(folder, module)
    assert len(re.findall(rf"from {folder.replace('/', '.')}.{module}[. ].*import", wiring)) == 1


def holds(names: set[str], file: str) -> bool:
    """True when the file is named, or a folder that it is in."""
    return bool(names & {file, *map(str, PurePath(file).parents)})


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


def proof_of(folder: str, module: str) -> set[str]:
    """The possible paths of an option's tests."""
    if folder == "app/agent/tools":
        return {f"tests/tools/test_{module}.py"}
    tests = f"engine/tests/{folder.partition('/')[2]}"
    return {tests, f"{tests}/{module}", f"{tests}/test_{module}.py"}


@pytest.mark.parametrize("option", WITHOUT)
def test_an_option_that_was_not_chosen_leaves_no_trace(look: Bake, option: str) -> None:
    project = look(**answers_without(option))
    pattern = re.compile(TRACES[option])

    traces = [
        f"{name}:{number}: {line.strip()}"
        for name, text in project.files().items()
        # constraints.txt is the same in every project.
        if name != "constraints.txt"
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(f"{name} {line}" if number == 1 else line)
    ]

    assert traces == []


@pytest.mark.parametrize("option", WITHOUT)
def test_a_chosen_option_is_present(look: Bake, option: str) -> None:
    question = question_of(option)
    project = look(**answers_with(option), languages="de")

    assert [name for name in FILES[question][answer_of(option)] if not project.has(name)] == []


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
