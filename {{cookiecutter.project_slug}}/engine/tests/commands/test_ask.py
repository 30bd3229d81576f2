import io

import pytest

from engine.operate.ask import is_sure


@pytest.mark.parametrize(
    ("typed", "sure"),
    [("y\n", True), (" YES \n", True), ("\n", False), ("no\n", False), ("", False)],
)
def test_only_a_yes_is_one(monkeypatch: pytest.MonkeyPatch, typed: str, sure: bool) -> None:
    """The last is what comes where nobody is at the terminal."""
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    assert is_sure("Really?") is sure
