"""Reads Dockerfiles, to follow their steps without Docker."""

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile: its name and its arguments."""

    name: str
    arguments: str


Stage = list[Instruction]

# ${NAME:-default}
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def read_stages(dockerfile: str) -> list[Stage]:
    """The stages in order, each beginning with its FROM."""
    lines = [line for line in dockerfile.splitlines() if not line.startswith("#")]
    stages: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, arguments = line.strip().partition(" ")
        if name == "FROM":
            stages.append([])
        if name:
            stages[-1].append(Instruction(name, arguments.strip()))
    return stages


def arguments_of(stage: Stage, name: str) -> list[str]:
    return [instruction.arguments for instruction in stage if instruction.name == name]


def command_of(stage: Stage, name: str, **environment: str) -> list[str]:
    """The program of CMD or HEALTHCHECK with its arguments, with or without a shell."""
    words = words_of(stage, name)
    if words[:2] != ["sh", "-c"]:
        return words
    program = words[2].removeprefix("exec ")
    return shlex.split(VARIABLE.sub(lambda found: environment.get(*found.groups()), program))


def words_of(stage: Stage, name: str) -> list[str]:
    """The list of words of CMD or HEALTHCHECK."""
    [arguments] = arguments_of(stage, name)
    words: list[str] = json.loads(arguments[arguments.index("[") :])
    return words


def environment_of(stage: Stage) -> dict[str, str]:
    """The variables that ENV sets, without those whose value refers to another variable."""
    settings = [shlex.split(text) for text in arguments_of(stage, "ENV")]
    pairs = (setting.split("=", 1) for line in settings for setting in line)
    return {name: value for name, value in pairs if "$" not in value}


def copies_of(stage: Stage) -> list[tuple[list[str], str]]:
    """Sources and target of each COPY from the project."""
    copies = [text.split() for text in arguments_of(stage, "COPY") if "--from" not in text]
    return [(words[:-1], words[-1]) for words in copies]


def copy_into_image(project: Path, stage: Stage, image: Path) -> None:
    """Execute a stage's COPY instructions, respecting .dockerignore."""
    ignore = (project / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for sources, target in copies_of(stage):
        taken = 0
        for found in (path for source in sources for path in project.glob(source)):
            for file in [found] if found.is_file() else found.rglob("*"):
                if file.is_file() and is_in_context(str(file.relative_to(project)), ignore):
                    inside = file.name if found.is_file() else file.relative_to(found)
                    copied = image / target / inside
                    copied.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, copied)
                    taken += 1
        assert taken, f"COPY {sources}: .dockerignore excludes all of it"


def is_in_context(name: str, ignore: list[str]) -> bool:
    """True for a file in Docker's build context: the last matching line counts."""
    let_in = True
    for line in ignore:
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and _matches(name, pattern):
            let_in = line.startswith("!")
    return let_in


def _matches(name: str, pattern: str) -> bool:
    """A pattern matches a file, or a folder with its content; `**/` matches any folders or none."""
    path = PurePosixPath(name)
    return any(
        fnmatchcase(str(part), pattern) or fnmatchcase(f"/{part}", pattern.replace("**/", "*/"))
        for part in (path, *path.parents[:-1])
    )
