import os
import re
import stat
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import app.main  # noqa: F401 — defines the settings of every option
from dev.paths import PROJECT_ROOT
from engine.settings.env_file import write_env_file
from engine.settings.env_text import UnreadableEnvFile
from engine.settings.settings import EnvSettings, Settings

EXAMPLE = PROJECT_ROOT / ".env.example"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / ".env.example"
    path.write_text(
        "# Why.\nOPENAI_API_KEY=\n# Setup makes one.\nSECRET_KEY=\n# LOG_LEVEL=INFO\n",
        encoding="utf-8",
    )
    return path


def values(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_fresh_secret(env: Path, example: Path) -> None:
    assert write_env_file(env, example) == ["SECRET_KEY"]
    assert len(values(env)["SECRET_KEY"]) >= 32
    assert values(env)["OPENAI_API_KEY"] == ""
    assert "# Why." in env.read_text(encoding="utf-8")


def test_two_projects_have_different_secrets(tmp_path: Path, example: Path) -> None:
    write_env_file(tmp_path / "one", example)
    write_env_file(tmp_path / "two", example)
    assert values(tmp_path / "one")["SECRET_KEY"] != values(tmp_path / "two")["SECRET_KEY"]


def test_second_time_changes_nothing(env: Path, example: Path) -> None:
    write_env_file(env, example)
    before = env.read_bytes()
    assert write_env_file(env, example) == []
    assert env.read_bytes() == before


def test_never_overwrites(env: Path, example: Path) -> None:
    env.write_text("SECRET_KEY=mine\nOTHER=kept", encoding="utf-8")
    assert write_env_file(env, example) == ["OPENAI_API_KEY"]
    assert values(env) == {"SECRET_KEY": "mine", "OTHER": "kept", "OPENAI_API_KEY": ""}


def test_one_in_utf16_is_completed_in_utf8(env: Path, example: Path) -> None:
    env.write_text("SECRET_KEY=größer\n", encoding="utf-16")
    assert write_env_file(env, example) == ["OPENAI_API_KEY"]
    assert values(env) == {"SECRET_KEY": "größer", "OPENAI_API_KEY": ""}


def test_one_in_two_encodings_is_left_alone(env: Path, example: Path) -> None:
    env.write_bytes(b"SECRET_KEY=mine\n" + "A=b\r\n".encode("utf-16"))
    before = env.read_bytes()
    with pytest.raises(UnreadableEnvFile, match="save the file as UTF-8"):
        write_env_file(env, example)
    assert env.read_bytes() == before


def test_fills_a_copied_example(env: Path, example: Path) -> None:
    env.write_bytes(example.read_bytes())
    assert write_env_file(env, example) == ["SECRET_KEY"]


@pytest.mark.parametrize(("keys", "is_made"), [("", True), ("https://id.example/keys", False)])
def test_no_secret_beside_what_stands_for_it(
    env: Path, example: Path, keys: str, is_made: bool
) -> None:
    example.write_text(
        "# Setup makes one, unless KEYS_URL is set.\nSHARED_SECRET=\n", encoding="utf-8"
    )
    env.write_text(f"KEYS_URL={keys}\nSHARED_SECRET=\n", encoding="utf-8")
    write_env_file(env, example)
    assert bool(values(env)["SHARED_SECRET"]) is is_made


def test_the_secrets_of_this_project_are_made(env: Path) -> None:
    made = write_env_file(env, EXAMPLE)
    assert "SECRET_KEY" in made
    assert [name for name, value in values(env).items() if "SECRET" in name and not value] == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_only_its_owner_reads_it(env: Path, example: Path) -> None:
    old = os.umask(0)
    try:
        write_env_file(env, example)
    finally:
        os.umask(old)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


def settings_classes() -> list[type[BaseSettings]]:
    return [Settings, *(c for c in EnvSettings.__subclasses__() if c is not Settings)]


@pytest.mark.parametrize("settings", settings_classes(), ids=lambda c: c.__name__)
def test_example_explains_every_setting(settings: type[BaseSettings]) -> None:
    explained = set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", EXAMPLE.read_text("utf-8"), re.M))
    prefix = settings.model_config.get("env_prefix", "")
    assert {f"{prefix}{name}".upper() for name in settings.model_fields} <= explained


def test_example_has_nothing_that_is_not_a_setting() -> None:
    explained = set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", EXAMPLE.read_text("utf-8"), re.M))
    known = {
        f"{settings.model_config.get('env_prefix', '')}{name}".upper()
        for settings in settings_classes()
        for name in settings.model_fields
    }
    assert explained == known


def test_example_shows_the_defaults() -> None:
    shown = dict(re.findall(r"^# ([A-Z0-9_]+)=(.+)$", EXAMPLE.read_text("utf-8"), re.M))
    fields = Settings.model_fields
    ours = {name: value for name, value in shown.items() if name.lower() in fields}
    assert {name: str(fields[name.lower()].default).lower() for name in ours} == {
        name: value.lower() for name, value in ours.items()
    }
