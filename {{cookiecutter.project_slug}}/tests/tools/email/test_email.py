"""Emails are drafted by the model and sent once by the user, with a real mail server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
from aiosmtpd.smtp import SMTP
from chatkit.widgets import Card, StrictWidgetRoot
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, update

from app.agent.tools import email as email_tool
from app.agent.tools.email import _problem
from app.auth import sign_in
from app.main import create_app
from engine.database.database import Database
from engine.settings.settings import Settings
from engine.tests.agent.fixtures import WithServer
from engine.tests.fixtures import serving, visiting
from engine.tests.model_server import answer, call
from engine.tests.talk import PATIENCE_SECONDS, Visitor, until
from engine.toolkits.email.mail import (
    INSECURE,
    UNCERTAIN,
    UNREACHABLE,
    DeliveryFailed,
    EmailSettings,
    Mail,
    compose_checked,
    deliver,
    is_address,
)
from engine.toolkits.email.rows import Email, EmailDayRow, EmailRow, EmailStore
from engine.tools.services import ToolRefusal
from tests.tools.email.mail_server import PASSWORD, MailServer, mail_server, trust

DRAFT = {"to": ["ada@example.com"], "subject": "Launch", "body": "Hello Ada,\n\nFriday it is. ✓"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def configured(
    monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, tmp_path: Path
) -> pytest.MonkeyPatch:
    monkeypatch.setenv("SSL_CERT_FILE", trust(authority, tmp_path))
    monkeypatch.setenv("EMAIL_HOST", "127.0.0.1")
    monkeypatch.setenv("EMAIL_SENDER", "chat@example.org")
    monkeypatch.setenv("EMAIL_RECIPIENT_DOMAINS", "example.com, example.net")
    monkeypatch.setenv("EMAIL_TIMEOUT_SECONDS", "5")
    return monkeypatch


@pytest_asyncio.fixture
async def mail(configured: pytest.MonkeyPatch, authority: trustme.CA) -> AsyncIterator[MailServer]:
    async with mail_server(authority) as server:
        configured.setenv("EMAIL_PORT", str(server.port))
        yield server


class Draft:
    """A draft's card in one tab."""

    def __init__(self, visitor: Visitor, thread_id: str, card: dict[str, Any]) -> None:
        self.visitor = visitor
        self.thread_id = thread_id
        self.item_id = card["id"]
        self.widget = card["widget"]

    @property
    def params(self) -> dict[str, Any]:
        return {"thread_id": self.thread_id, "item_id": self.item_id}

    def action(self, button: str = "confirm") -> dict[str, Any]:
        config = self.widget[button]["action"]
        assert config["streaming"] is False
        return {"type": config["type"], "payload": config["payload"]}

    async def press(self, button: str = "confirm", visitor: Visitor | None = None) -> None:
        """Press the button and update the card."""
        response = await (visitor or self.visitor).send(
            "threads.sync_custom_action", **self.params, action=self.action(button)
        )
        assert response.status_code == 200, response.text
        self.widget = response.json()["updated_item"]["widget"]

    def in_another_tab(self) -> "Draft":
        return Draft(self.visitor, self.thread_id, {"id": self.item_id, "widget": self.widget})

    @property
    def state(self) -> str:
        return str(self.widget["status"]["text"])

    @property
    def texts(self) -> list[str]:
        return [child["value"] for child in self.widget["children"] if "value" in child]

    @property
    def buttons(self) -> list[str]:
        return [self.widget[b]["label"] for b in ("confirm", "cancel") if b in self.widget]


async def drafted(visitor: Visitor, text: str = "Draft an email to ada@example.com: Hi") -> Draft:
    turn = await visitor.say(text)
    [card] = turn.done("widget")
    return Draft(visitor, turn.thread_id, card)


def text_of(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\r\n", "\n").strip()


async def stored(draft: Draft) -> Any:
    items = await draft.visitor.items(draft.thread_id)
    return next(item["widget"] for item in items if item["id"] == draft.item_id)


async def test_a_draft_is_not_sent_before_the_user_presses_send(
    with_server: WithServer, mail: MailServer
) -> None:
    visitor, model = await with_server()
    model.does(call(("draft_email", json.dumps(DRAFT))), answer("Have a look."))

    turn = await visitor.say("write to Ada")

    [card] = turn.done("widget")
    draft = Draft(visitor, turn.thread_id, card)
    assert draft.texts == ["To ada@example.com", "Launch", "Hello Ada,", " ", "Friday it is. ✓"]
    assert (draft.state, draft.buttons) == ("Draft", ["Send", "Discard"])
    assert "It has not been sent" in model.exchanges[-1].results[0]
    assert mail.delivered == []

    await draft.press()

    assert (draft.state, draft.buttons) == ("Sent", [])
    [(envelope, message)] = mail.delivered
    assert (envelope.mail_from, envelope.rcpt_tos) == ("chat@example.org", ["ada@example.com"])
    assert message["From"] == "chat@example.org"
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Launch"
    assert message["Message-ID"] == f"<{draft.item_id}@example.org>"
    assert text_of(message) == DRAFT["body"]
    assert await stored(draft) == draft.widget

    # The model gets the state in the next turn.
    await visitor.say("was it sent?", draft.thread_id)
    assert "Its state: Sent." in str(model.exchanges[-1].body["input"])


async def test_the_card_is_valid_for_chatkit(visitor: Visitor, mail: MailServer) -> None:
    draft = await drafted(visitor)

    card = TypeAdapter[Any](StrictWidgetRoot).validate_python(draft.widget)
    assert isinstance(card, Card)
    assert card.model_dump(exclude_none=True) == draft.widget


async def test_five_parallel_presses_send_it_once(visitor: Visitor, mail: MailServer) -> None:
    draft = await drafted(visitor)
    tabs = [draft.in_another_tab() for _ in range(5)]
    mail.release.clear()

    pressing = asyncio.gather(*(tab.press() for tab in tabs))
    await asyncio.wait_for(mail.asked.wait(), PATIENCE_SECONDS)
    mail.release.set()
    await pressing

    assert len(mail.delivered) == 1
    assert {tab.state for tab in tabs} == {"Sent"}
    assert (await stored(draft))["status"]["text"] == "Sent"


async def test_presses_on_two_workers_send_it_once(settings: Settings, mail: MailServer) -> None:
    async with (
        serving(create_app(settings)) as one,
        serving(create_app(settings)) as two,
        visiting(one, settings, sign_in=sign_in) as here,
        visiting(two, settings, user_id=here.user_id, sign_in=sign_in) as there,
    ):
        draft = await drafted(here)
        tab = draft.in_another_tab()
        await asyncio.gather(draft.press(), tab.press(visitor=there))

    assert len(mail.delivered) == 1
    assert (draft.state, tab.state) == ("Sent", "Sent")


async def test_the_daily_limit_holds_for_all_workers(
    settings: Settings, mail: MailServer, configured: pytest.MonkeyPatch, database: Database
) -> None:
    configured.setenv("EMAIL_PER_DAY", "2")
    async with (
        serving(create_app(settings)) as one,
        serving(create_app(settings)) as two,
        visiting(one, settings, sign_in=sign_in) as here,
        visiting(two, settings, user_id=here.user_id, sign_in=sign_in) as there,
        visiting(one, settings, sign_in=sign_in) as somebody_else,
    ):
        drafts = [await drafted(visitor) for visitor in (here, there) * 2]
        await asyncio.gather(*(draft.press() for draft in drafts))

        assert len(mail.delivered) == 2
        assert sorted(draft.state for draft in drafts) == ["Draft", "Draft", "Sent", "Sent"]
        refused = next(draft for draft in drafts if draft.state == "Draft")
        assert refused.texts[-1].startswith("You have sent 2 emails today, and may send no more.")
        assert refused.buttons == ["Send", "Discard"]

        await refused.press()
        assert len(mail.delivered) == 2
        other = await drafted(somebody_else)
        await other.press()
        assert other.state == "Sent"

        # A deleted thread does not reset the count; the next day does.
        for draft in drafts:
            if draft.state == "Sent":
                await here.send("threads.delete", thread_id=draft.thread_id)
        await refused.press()
        assert refused.state == "Draft"
        yesterday = update(EmailDayRow).where(EmailDayRow.user_id == here.user_id)
        await database.write(here.user_id, yesterday.values(day=EmailDayRow.day - 1))
        await refused.press()
        assert refused.state == "Sent"


async def test_unsent_emails_do_not_count(
    visitor: Visitor, mail: MailServer, configured: pytest.MonkeyPatch
) -> None:
    configured.setenv("EMAIL_PER_DAY", "1")
    draft = await drafted(visitor)
    configured.setenv("EMAIL_PORT", "9")
    for _ in range(2):
        await draft.press()
        assert draft.texts[-1] == UNREACHABLE
    configured.setenv("EMAIL_PORT", str(mail.port))
    await draft.press()
    assert draft.state == "Sent"


async def test_the_model_is_informed_of_the_daily_limit(
    with_server: WithServer, mail: MailServer, configured: pytest.MonkeyPatch
) -> None:
    configured.setenv("EMAIL_PER_DAY", "1")
    visitor, model = await with_server()
    draft = call(("draft_email", json.dumps(DRAFT)))
    model.does(draft, answer("Read it."), draft, answer("Not today."))
    first = await visitor.say("write")
    [card] = first.done("widget")
    await Draft(visitor, first.thread_id, card).press()

    second = await visitor.say("write again", first.thread_id)

    assert "You have sent 1 email today" in model.exchanges[-1].results[-1]
    [card] = second.done("widget")
    assert "You have sent 1 email today" in str(card)
    assert len(mail.delivered) == 1


async def test_a_streaming_action_sends_it_and_a_stop_does_not_interrupt_it(
    visitor: Visitor, mail: MailServer
) -> None:
    draft = await drafted(visitor)
    mail.release.clear()
    params = draft.params | {"action": draft.action()}
    async with aclosing(visitor.listen("threads.custom_action", **params)) as events:
        async for _ in events:
            await asyncio.wait_for(mail.asked.wait(), PATIENCE_SECONDS)
            break
    await asyncio.sleep(1)  # longer than the server waits for a page that only reloads
    mail.release.set()

    async def is_sent() -> bool:
        return bool((await stored(draft))["status"]["text"] == "Sent")

    await until(is_sent)
    await draft.press()  # from the tab with the old card
    assert draft.state == "Sent"
    assert len(mail.delivered) == 1


async def test_all_recipients_or_none(visitor: Visitor, mail: MailServer) -> None:
    draft = await drafted(visitor)
    mail.rcpt["ada@example.com"] = "550 no such user"
    old_tab = draft.in_another_tab()

    await draft.press()

    assert (draft.state, draft.buttons) == ("Not sent", ["Try again", "Discard"])
    refusal = "The mail server refused a recipient (550). Nothing was sent to: ada@example.com"
    assert draft.texts[-1] == refusal
    assert mail.delivered == []

    # A press on an outdated card has no effect.
    await old_tab.press()
    assert old_tab.state == "Not sent"

    mail.rcpt.clear()
    await draft.press()
    assert draft.state == "Sent"
    assert len(mail.delivered) == 1


async def test_one_refused_recipient_prevents_sending(
    with_server: WithServer, mail: MailServer
) -> None:
    visitor, model = await with_server()
    both = DRAFT | {"to": ["ada@example.com", "bob@example.net"]}
    model.does(call(("draft_email", json.dumps(both))), answer("There."))
    turn = await visitor.say("write")
    draft = Draft(visitor, turn.thread_id, turn.done("widget")[0])
    mail.rcpt["bob@example.net"] = "452 full"

    await draft.press()

    assert (draft.state, mail.delivered) == ("Not sent", [])


async def test_a_refused_message_can_be_sent_again(visitor: Visitor, mail: MailServer) -> None:
    draft = await drafted(visitor)
    mail.data = "554 spam"

    await draft.press()

    assert draft.texts[-1] == "The mail server refused the email (554). Nothing was sent."
    mail.data = "250 OK"
    await draft.press()
    assert draft.state == "Sent"


@pytest.mark.parametrize("way", ["hangs up", "is silent"])
async def test_an_uncertain_delivery_is_reported_as_uncertain(
    visitor: Visitor, mail: MailServer, configured: pytest.MonkeyPatch, way: str
) -> None:
    draft = await drafted(visitor)
    configured.setenv("EMAIL_TIMEOUT_SECONDS", "3")
    if way == "hangs up":
        mail.hangs_up = True
    else:
        mail.release.clear()

    await draft.press()

    mail.release.set()
    assert (draft.state, draft.texts[-1]) == ("Not sent", UNCERTAIN)
    assert draft.buttons == ["Try again", "Discard"]


async def test_an_unavailable_server_fails_the_attempt(
    visitor: Visitor, mail: MailServer, configured: pytest.MonkeyPatch
) -> None:
    draft = await drafted(visitor)
    configured.setenv("EMAIL_PORT", "1")

    await draft.press()

    assert (draft.state, draft.texts[-1]) == ("Not sent", UNREACHABLE)
    configured.setenv("EMAIL_PORT", str(mail.port))
    await draft.press()
    assert draft.state == "Sent"


async def test_the_timeout_holds_for_all_steps_together(
    mail: MailServer, configured: pytest.MonkeyPatch
) -> None:
    configured.setenv("EMAIL_TIMEOUT_SECONDS", "1")
    mail.rcpt_seconds = 0.4
    recipients = [f"a{number}@example.com" for number in range(10)]

    with pytest.raises(DeliveryFailed, match="cannot be reached right now"):
        await deliver(EmailSettings(), Email("thr_1", "widget_1", recipients, "Hi", "Hello"))

    assert mail.delivered == []


async def test_after_a_worker_died_the_delivery_is_uncertain(
    visitor: Visitor, mail: MailServer, database: Database
) -> None:
    draft = await drafted(visitor)
    died = {"status": "sending", "attempts": 1, "changed_at": func.now() - func.make_interval(1)}
    mine = update(EmailRow).where(EmailRow.user_id == visitor.user_id)
    await database.write(visitor.user_id, mine.values(died))

    await draft.press()

    assert (draft.state, draft.texts[-1]) == ("Not sent", UNCERTAIN)
    assert mail.delivered == []
    await draft.press()
    assert draft.state == "Sent"


async def test_a_long_delivery_can_be_checked_again(
    visitor: Visitor, mail: MailServer, database: Database, configured: pytest.MonkeyPatch
) -> None:
    draft = await drafted(visitor)
    configured.setattr(email_tool, "EXTRA_WAIT_SECONDS", 0)
    configured.setenv("EMAIL_TIMEOUT_SECONDS", "0.1")
    mine = update(EmailRow).where(EmailRow.user_id == visitor.user_id)
    await database.write(visitor.user_id, mine.values(status="sending", attempts=1))

    await draft.press()

    assert (draft.state, draft.buttons) == ("Being sent", ["Look again"])
    assert mail.delivered == []


async def test_a_discarded_draft_is_never_sent(visitor: Visitor, mail: MailServer) -> None:
    draft = await drafted(visitor)
    old_tab = draft.in_another_tab()

    await draft.press("cancel")
    assert (draft.state, draft.buttons) == ("Discarded", [])
    await old_tab.press()

    assert old_tab.state == "Discarded"
    assert mail.delivered == []


async def test_a_sent_email_cannot_be_discarded(visitor: Visitor, mail: MailServer) -> None:
    draft = await drafted(visitor)
    old_tab = draft.in_another_tab()
    await draft.press()

    await old_tab.press("cancel")

    assert old_tab.state == "Sent"


async def test_an_insecure_connection_is_refused(
    visitor: Visitor, configured: pytest.MonkeyPatch, authority: trustme.CA
) -> None:
    async with mail_server(authority, starttls=False) as plain:
        configured.setenv("EMAIL_PORT", str(plain.port))
        draft = await drafted(visitor)
        await draft.press()
        assert (draft.texts[-1], plain.delivered) == (INSECURE, [])

    async with mail_server(trustme.CA()) as of_somebody_else:
        configured.setenv("EMAIL_PORT", str(of_somebody_else.port))
        await draft.press()
        assert (draft.texts[-1], of_somebody_else.delivered) == (INSECURE, [])

    async with mail_server(authority, starttls=False, tls=True) as implicit:
        configured.setenv("EMAIL_PORT", str(implicit.port))
        configured.setenv("EMAIL_SECURITY", "tls")
        await draft.press()
        assert (draft.state, len(implicit.delivered)) == ("Sent", 1)


async def test_the_server_signs_in(
    visitor: Visitor, mail: MailServer, configured: pytest.MonkeyPatch
) -> None:
    draft = await drafted(visitor)
    configured.setenv("EMAIL_USERNAME", "chat")
    configured.setenv("EMAIL_PASSWORD", "wrong")
    await draft.press()
    assert draft.texts[-1].startswith("The mail server refused this server's credentials.")

    configured.setenv("EMAIL_PASSWORD", PASSWORD)
    await draft.press()
    assert draft.state == "Sent"


@pytest.mark.parametrize(
    ("domains", "reason"),
    [
        ("", "This server may send to nobody: EMAIL_RECIPIENT_DOMAINS is empty."),
        ("example.net", "This server may not send to this address: ada@example.com"),
        (
            "com,ample.com,www.example.com",
            "This server may not send to this address: ada@example.com",
        ),
    ],
)
async def test_only_allowed_domains_get_emails(
    with_server: WithServer,
    mail: MailServer,
    configured: pytest.MonkeyPatch,
    domains: str,
    reason: str,
) -> None:
    configured.setenv("EMAIL_RECIPIENT_DOMAINS", domains)
    visitor, model = await with_server()
    model.does(call(("draft_email", json.dumps(DRAFT))), answer("It cannot be sent."))

    turn = await visitor.say("write to Ada")

    draft = Draft(visitor, turn.thread_id, turn.done("widget")[0])
    assert draft.texts[-1] == reason
    assert model.exchanges[-1].results[0].endswith(reason)
    await draft.press()
    assert (draft.texts[-1], mail.delivered) == (reason, [])

    configured.setenv("EMAIL_RECIPIENT_DOMAINS", "EXAMPLE.com")
    await draft.press()
    assert len(mail.delivered) == 1


async def test_an_address_may_have_its_domain_in_capitals(
    with_server: WithServer, mail: MailServer, configured: pytest.MonkeyPatch
) -> None:
    configured.setenv("EMAIL_RECIPIENT_DOMAINS", "example.com")
    visitor, model = await with_server()
    email = json.dumps(DRAFT | {"to": ["ada@Example.COM"]})
    model.does(call(("draft_email", email)), answer("Here it is."))
    turn = await visitor.say("write to Ada")

    await Draft(visitor, turn.thread_id, turn.done("widget")[0]).press()

    assert [envelope.rcpt_tos for envelope, _ in mail.delivered] == [["ada@Example.COM"]]


@pytest.mark.parametrize("address", ["ada..b@example.com", f"ada@{'long.' * 50}com"])
def test_invalid_addresses(address: str) -> None:
    assert not is_address(address)


async def test_the_store_is_limited_to_one_user(
    visitor: Visitor, stranger: Visitor, database: Database
) -> None:
    draft = await drafted(visitor)
    mine = EmailStore(database, visitor.user_id)
    theirs = EmailStore(database, stranger.user_id)
    email = await mine.find(draft.thread_id, draft.item_id)
    assert email is not None

    assert await theirs.find(draft.thread_id, draft.item_id) is None
    assert not await theirs.claim(email, per_day=0)
    await theirs.discard(email)
    assert await mine.find(draft.thread_id, draft.item_id) == email


async def test_a_late_result_does_not_change_a_later_attempt(
    visitor: Visitor, database: Database
) -> None:
    draft = await drafted(visitor)
    store = EmailStore(database, visitor.user_id)

    async def seen() -> Email:
        email = await store.find(draft.thread_id, draft.item_id)
        assert email is not None
        return email

    first = await seen()
    assert await store.claim(first, per_day=0)
    await store.fail_stale(first, seconds=0, error="It takes too long.")
    second = await seen()
    assert await store.claim(second, per_day=0)

    await store.finish(first, "Too late.", maybe_sent=False)
    assert (await seen()).status == "sending"
    assert await store.sent_today() == 2

    await store.finish(second, None)
    assert (await seen()).status == "sent"


async def test_without_a_mail_server_there_is_still_a_draft(visitor: Visitor) -> None:
    draft = await drafted(visitor)

    assert draft.texts[-1].startswith("This server has no mail server")
    await draft.press()
    assert draft.state == "Draft"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"to": []}, "it has 0 recipients"),
        ({"to": [f"a{n}@example.com" for n in range(11)]}, "it has 11 recipients"),
        ({"to": ["Ada <ada@example.com>"]}, "is not a plain email address"),
        ({"to": ["ada@example.com\nBcc: eve@evil.test"]}, "is not a plain email address"),
        ({"to": ["ada@example.com, eve@example.com"]}, "is not a plain email address"),
        ({"to": ["ada@example.com>\r\nRCPT TO:<eve@evil.test"]}, "is not a plain email address"),
        ({"to": ["ada@evil.test@example.com"]}, "is not a plain email address"),
        ({"to": ["ada@exämple.com"]}, "is not a plain email address"),
        ({"subject": "Hi\nBcc: eve@evil.test"}, "a subject is one line"),
        ({"subject": "Hi\r\n\r\nA body"}, "a subject is one line"),
        ({"subject": "Hi\u2028Bcc: eve@evil.test"}, "a subject is one line"),
        ({"subject": " "}, "a subject is one line"),
        ({"subject": "x" * 201}, "a subject is one line"),
        ({"body": " "}, "a text has 1 to 10000 characters"),
        ({"body": "x" * 10_001}, "a text has 1 to 10000 characters"),
        ({"body": "x\n" * 301}, "a text has 1 to 10000 characters"),
    ],
)
async def test_an_invalid_email_is_reported_to_the_model(
    with_server: WithServer, changes: dict[str, Any], reason: str
) -> None:
    visitor, model = await with_server()
    model.does(call(("draft_email", json.dumps(DRAFT | changes))), answer("I could not."))

    turn = await visitor.say("write")

    [result] = model.exchanges[-1].results
    assert result.startswith("The tool failed: the email was not drafted, because")
    assert reason in result
    assert turn.done("widget") == []
    assert turn.answer == "I could not."


async def test_a_dot_alone_does_not_end_the_message(
    with_server: WithServer, mail: MailServer
) -> None:
    visitor, model = await with_server()
    body = "one\n.\nMAIL FROM:<eve@evil.test>\n..two"
    model.does(call(("draft_email", json.dumps(DRAFT | {"body": body}))), answer("There."))
    turn = await visitor.say("write")
    await Draft(visitor, turn.thread_id, turn.done("widget")[0]).press()

    [(_, message)] = mail.delivered
    assert text_of(message) == body


async def test_another_users_draft_cannot_be_sent(
    visitor: Visitor, stranger: Visitor, mail: MailServer
) -> None:
    draft = await drafted(visitor)
    of_stranger = await drafted(stranger)

    for params in (draft.params, of_stranger.params | {"item_id": draft.item_id}):
        refused = await stranger.send("threads.sync_custom_action", **params, action=draft.action())
        assert refused.status_code == 404
    assert mail.delivered == []


@pytest.mark.parametrize("payload", [None, {}, [], "0", {"attempts": "0"}, {"attempts": None}])
async def test_an_action_with_an_invalid_payload_is_refused(
    visitor: Visitor, mail: MailServer, payload: Any
) -> None:
    draft = await drafted(visitor)

    refused = await visitor.send(
        "threads.sync_custom_action",
        **draft.params,
        action={"type": "email.send", "payload": payload},
    )

    assert refused.status_code == 422
    assert mail.delivered == []


async def test_drafts_are_deleted_with_their_thread(
    visitor: Visitor, mail: MailServer, database: Database
) -> None:
    draft = await drafted(visitor)

    await visitor.send("threads.delete", thread_id=draft.thread_id)

    mine = EmailRow.__table__.select().where(EmailRow.user_id == visitor.user_id)
    assert await database.fetch(visitor.user_id, mine) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": "chat", "security": "none"},
        {"sender": "Chat <chat@example.org>"},
        {"port": 0},
        {"timeout_seconds": 0},
    ],
)
def test_invalid_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmailSettings(**wrong)


def test_a_kubernetes_service_does_not_set_the_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EMAIL_PORT", "tcp://10.0.0.1:25")
    assert EmailSettings().port == 587


def test_settings_are_read_at_the_start(settings: Settings, configured: pytest.MonkeyPatch) -> None:
    configured.setenv("EMAIL_SENDER", "nobody")

    with pytest.raises(ValueError, match="EMAIL_SENDER"):
        create_app(settings)


async def test_doctor_checks_the_mail_server(
    mail: MailServer, configured: pytest.MonkeyPatch
) -> None:
    assert await Mail().check() == "the mail server 127.0.0.1 answers"

    configured.setenv("EMAIL_PORT", "1")
    with pytest.raises(ToolRefusal, match="cannot be reached"):
        await Mail().check()
    configured.setenv("EMAIL_RECIPIENT_DOMAINS", "")
    with pytest.raises(ToolRefusal, match="EMAIL_RECIPIENT_DOMAINS is empty"):
        await Mail().check()


ENCODED = "=?utf-8?q?Your_invoice=0d=0aReply-To:_x@evil.example=0d=0aX-Rest:?="


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        (["ada@example.com"], ENCODED),
        (["ada@example.com"], "=?utf-8?b?WW91IGFyZSBmaXJlZA==?="),
        (["=?utf-8?q?x=40evil.example?=@example.com"], "Hello"),
    ],
)
def test_an_encoded_word_is_refused_when_it_is_drafted(to: list[str], subject: str) -> None:
    assert _problem(to, subject, "body") is not None


OWN = EmailSettings(
    host="mail.invalid", sender="chat@example.com", recipient_domains=("example.com",)
)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": ENCODED},
        {"subject": "=?utf-8?q?plain?="},
        {"subject": "two\nlines"},
        {"subject": "a lone half \ud800"},
        {"recipients": ["=?utf-8?q?x=40evil.example?=@example.com"]},
        {"recipients": ["ada@example.com, eve@evil.example"]},
        {"body": "a lone half \ud800"},
    ],
)
async def test_an_email_that_would_differ_is_not_sent(changes: dict[str, Any]) -> None:
    """No connection is made: the host does not exist."""
    shown = {"recipients": ["ada@example.com"], "subject": "Hello", "body": "Good day"}
    email = Email("thread", "item", **(shown | changes))
    with pytest.raises(DeliveryFailed, match="would not arrive as it is shown"):
        await deliver(OWN, email)


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("Grüße 🦊 aus " + "w" * 150, "Zeile eins\n\n  Grüße 🦊\n.\nFrom here\n" + "x" * 3_000),
        ("a: b; c, <d> (e)", "one\n\nthree"),
    ],
)
def test_the_received_email_is_the_one_on_the_card(subject: str, body: str) -> None:
    email = Email("thread", "item", ["ada@example.com", "grace@example.com"], subject, body)
    message = message_from_bytes(compose_checked(OWN, email), policy=default)
    assert message["Subject"] == subject
    assert message["To"] == "ada@example.com, grace@example.com"
    assert message.get_content().splitlines() == body.splitlines()


async def test_a_too_large_message_is_refused_before_its_recipients() -> None:
    heard: list[str] = []

    class Handler:
        async def handle_RCPT(self, *arguments: Any) -> str:
            heard.append(str(arguments[3]))
            return "250 OK"

    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Handler(), data_size_limit=2_000), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    settings = OWN.model_copy(update={"host": "127.0.0.1", "port": port, "security": "none"})
    email = Email("thread", "item", ["ada@example.com"], "Hello", "x" * 5_000)
    with pytest.raises(DeliveryFailed, match="refused the email"):
        await deliver(settings, email)
    server.close()
    assert heard == []
