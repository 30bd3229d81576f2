import pytest

from dev.doctor_pictures import check


def test_it_says_how_pictures_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTACHMENT_PUBLIC_URL", raising=False)
    assert "ATTACHMENT_INLINE_BYTES" in check().text
    monkeypatch.setenv("ATTACHMENT_PUBLIC_URL", "https://chat.example.com")
    assert check().text == "shown from https://chat.example.com/"
