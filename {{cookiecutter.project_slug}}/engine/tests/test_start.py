"""A start that fails because of invalid settings."""

import pytest

from engine.settings.settings import Settings
from engine.tests.application import create_app

LONG, SHORT = "x" * 32, "x" * 31


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"SECRET_KEY": SHORT}, "SECRET_KEY has 31 characters, and needs at least 32. To make one"),
        (
            {"SECRET_KEY": LONG, "SECRET_KEY_PREVIOUS": SHORT},
            "SECRET_KEY_PREVIOUS has 31 characters, and needs at least 32. Remove it",
        ),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"DATABASE_POOL_SIZE": "0"}, "DATABASE_POOL_SIZE is not usable: "),
        ({"CSP_EXTRA": "script-src *"}, "CSP_EXTRA: script-src must not allow *"),
    ],
    ids=["key", "previous key", "missing", "out of range", "refused later"],
)
def test_an_invalid_setting_is_reported_in_one_line(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    keys: dict[str, str],
    complaint: str,
) -> None:
    assert settings.database_url is not None
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as refused:
        create_app()

    assert str(refused.value).startswith(f"The application cannot start. {complaint}")
    assert "\n" not in str(refused.value)
    assert SHORT not in str(refused.value)


def test_keys_of_32_characters_are_accepted() -> None:
    keys = Settings(secret_key=LONG, secret_key_previous=LONG.upper())
    assert keys.signing_keys == [LONG.upper(), LONG]
