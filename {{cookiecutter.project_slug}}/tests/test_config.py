"""Settings from the environment."""

import pytest
from pydantic import ValidationError

from app.config import EnvSettings, Settings, asyncpg_url
from app.main import create_app


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u:p@h:5433/d", "postgresql+asyncpg://u:p@h:5433/d"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql+asyncpg://u@h/d?ssl=require"),
    ],
)
def test_the_spellings_that_providers_hand_out(given: str, used: str) -> None:
    assert asyncpg_url(given) == used


def test_another_database_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be PostgreSQL"):
        Settings(database_url="mysql://u@h/d")


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS", "a, b,")
    assert Settings().offered_models == ("a", "b")


def test_origins_are_as_browsers_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_what_is_no_origin_is_not_taken_for_one(origins: str) -> None:
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(allowed_origins=origins)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_the_address_of_a_service_in_the_cluster_is_no_port(
    name: str, value: object, is_kept: bool
) -> None:
    """Kubernetes sets NAME_PORT for each Service; what is kept may still be refused."""
    values = {name: value, "other": "stays"}
    kept = EnvSettings._ignore_service_links(values)  # type: ignore[operator]
    assert kept == (values if is_kept else {"other": "stays"})


def test_without_a_database_the_application_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(ValueError, match="python -m app dev"):
        create_app(Settings())
