"""Nobody can attach anything here."""

from typing import Any

import pytest

from engine.tests.talk import Visitor, message


async def test_a_message_with_a_file_is_refused(visitor: Visitor) -> None:
    sent = message("hi") | {"attachments": ["atc_1"]}

    response = await visitor.send("threads.create", input=sent)

    assert response.status_code == 422
    assert response.json()["error"]["message"] == "This application takes no attachments."
    assert (await visitor.send("threads.list")).json()["data"] == []


@pytest.mark.parametrize(
    ("type_", "params"),
    [
        ("attachments.create", {"name": "a", "size": 1, "mime_type": "text/plain"}),
        ("attachments.delete", {"attachment_id": "atc_1"}),
    ],
)
async def test_files_are_refused(visitor: Visitor, type_: str, params: dict[str, Any]) -> None:
    response = await visitor.send(type_, **params)

    assert response.status_code == 422
    assert response.json()["error"]["message"] == "This application takes no attachments."


async def test_the_page_offers_none(visitor: Visitor) -> None:
    extras = (await visitor.client.get("/config.json")).json()["extras"]

    assert "api" not in extras
    assert "attachments" not in extras.get("composer", {})
