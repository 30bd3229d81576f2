"""Settings from the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.settings.env_text import UnreadableEnvFile
from engine.settings.env_values import add_to_environment
from engine.settings.settings import Settings, without_service_links
from engine.tests.application import create_app


def test_another_database_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be PostgreSQL"):
        Settings(database_url="mysql://u@h/d")


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS", "a, b,")
    assert Settings().offered_models == ("a", "b")


def test_origins_are_normalized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://WWW.example.com:443, http://intranet:8080")
    assert Settings().allowed_origins == ("https://www.example.com", "http://intranet:8080")


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "null",
        "www.example.com",
        "https://*.example.com",
        "https://www.example.com/",
        "https://www.example.com/path",
        "https://a b",
        "https://a; script-src *",
        'https://a">',
    ],
)
def test_invalid_origins_are_refused(origins: str) -> None:
    with pytest.raises(ValidationError, match="is not an origin"):
        Settings(allowed_origins=origins)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert Settings().is_demo


@pytest.mark.parametrize(
    ("name", "value", "is_kept"),
    [
        ("port", "tcp://10.0.0.1:25", False),
        ("metrics_port", "udp://[fd00::1]:53", False),
        ("port", "2525", True),
        ("port", 2525, True),
        ("port", "tcp://10.0.0.1", True),
        ("port", "https://10.0.0.1:25", True),
        ("proxy", "tcp://10.0.0.1:25", True),
    ],
)
def test_service_links_of_a_cluster_are_ignored(name: str, value: object, is_kept: bool) -> None:
    """A cluster sets NAME_PORT for each Service; other values are validated as usual."""
    values = {name: value, "other": "stays"}
    kept = without_service_links(values)
    assert kept == (values if is_kept else {"other": "stays"})


def test_a_missing_database_url_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(ValueError, match="python3 -m app dev"):
        create_app(Settings())


@pytest.mark.parametrize(
    ("name", "given", "used"),
    [
        ("MODEL", " gpt \r", "gpt"),
        ("LOG_LEVEL", "info", "INFO"),
        ("LOG_LEVEL", " Warning", "WARNING"),
        ("ON_DISCONNECT", "Finish", "finish"),
        ("MAX_TURNS", " 3 ", 3),
        ("TRACING", "true\n", True),
        ("TITLE_MODEL", "  ", None),
    ],
)
def test_white_space_and_case_are_ignored(
    name: str, given: str, used: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, given)
    assert getattr(Settings(), name.lower()) == used


def test_a_key_is_stripped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\n")
    key = Settings().openai_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-1"


@pytest.mark.parametrize("key", ["sk-secret\nX: y", "sk-\x00secret", "sk-secret…"])
def test_a_key_that_is_no_header_value_is_refused_and_not_shown(key: str) -> None:
    """The error of the HTTP client would quote the key."""
    with pytest.raises(ValidationError, match="one line of ASCII") as refused:
        Settings(openai_api_key=key)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_env_files_in_utf_8_and_utf_16_are_read(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = tmp_path / ".env"
    env.write_text("MODEL=größer\nLOG_LEVEL=\n", encoding=encoding)
    monkeypatch.setitem(Settings.model_config, "env_file", env)
    assert Settings().model == "größer"
    monkeypatch.delenv("MODEL", raising=False)
    add_to_environment(env)
    assert Settings().model == "größer"
    monkeypatch.delenv("MODEL")


@pytest.mark.parametrize(
    "content",
    [
        b"A=b\n" + "MODEL=c\r\n".encode("utf-16"),  # as PowerShell's >> writes it
        "MODEL=c".encode("utf-16-le"),
        "MODEL=ö".encode("latin-1"),
    ],
)
def test_an_env_file_in_two_encodings_is_refused_in_one_line(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = tmp_path / ".env"
    env.write_bytes(content)
    monkeypatch.setitem(Settings.model_config, "env_file", env)
    with pytest.raises(UnreadableEnvFile, match="save the file as UTF-8") as refused:
        Settings()
    assert "\n" not in str(refused.value)
