"""Emails: the assistant drafts one in a card, and the user sends it with the card's button."""

import asyncio
import logging
import re
import time
from dataclasses import replace
from typing import Any

from agents import RunContextWrapper
from chatkit.widgets import DynamicWidgetRoot
from pydantic import BaseModel, ValidationError

from engine import AgentTool, DemoCall, ToolRefusal, TurnContext, agent_function
from engine.tool_parts import Shown, Translatable, WidgetAction, translate
from engine.toolkits.email.mail import (
    UNCERTAIN,
    DeliveryFailed,
    EmailSettings,
    Mail,
    deliver,
    is_address,
    split_lines,
)
from engine.toolkits.email.rows import WAITING, DailyLimitReached, Email, EmailStore

logger = logging.getLogger(__name__)

MAX_RECIPIENTS = 10
MAX_SUBJECT = 200
MAX_BODY = 10_000
MAX_LINES = 300

SEND = "email.send"
DISCARD = "email.discard"

POLL_SECONDS = 0.2
# Both are added to the timeout of a delivery: after the first, a second press of Send stops waiting
# for the delivery's end; after the second, the worker that delivered must have died.
EXTRA_WAIT_SECONDS = 5.0
WORKER_DEAD_SECONDS = 30.0

STATES = {
    "draft": ("Draft", "mail"),
    "sending": ("Being sent", "clock"),
    "sent": ("Sent", "check-circle"),
    "failed": ("Not sent", "info"),
    "discarded": ("Discarded", "info"),
}
# While an email is being sent, a press shows its state again.
BUTTONS = {"draft": "Send", "failed": "Try again", "sending": "Look again"}


@agent_function
async def draft_email(
    turn: RunContextWrapper[TurnContext], to: list[str], subject: str, body: str
) -> str:
    """Draft an email and show it to the user. This does not send it: the user reads the draft and
    decides whether to press Send below it. Never say that it was sent. To change a draft, make a
    new one.

    Args:
        to: The email addresses of the recipients, 1 to 10, without their names.
        subject: The subject in one line.
        body: The whole text as plain text, with greeting and signature.
    """
    recipients = list(dict.fromkeys(address.strip() for address in to))
    if problem := _problem(recipients, subject, body):
        raise ToolRefusal(f"the email was not drafted, because {problem}.")
    context = turn.context
    # With one kind of line ending, the text is sent exactly as it is shown.
    body = "\n".join(split_lines(body))
    email = Email(
        context.thread.id, context.generate_id("message"), recipients, subject.strip(), body
    )
    emails, settings = EmailStore(context.database, context.user_id), EmailSettings()
    await emails.add(email)
    obstacle = settings.problem(recipients)
    if settings.per_day and await emails.sent_today() >= settings.per_day:
        obstacle = obstacle or _daily_limit_reached(settings)
    shown = _card(email, context.request_context.locale, obstacle)
    context.show(shown.widget, shown.text, item_id=email.item_id)
    if obstacle:
        return f"Drafted and shown, but it cannot be sent. {obstacle}"
    return "Drafted and shown. It has not been sent: only the user can do that, in the card."


def _problem(recipients: list[str], subject: str, body: str) -> str | None:
    """The reason why this email cannot be drafted, written for the model; None if it can."""
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        return f"it has {len(recipients)} recipients, and 1 to {MAX_RECIPIENTS} are possible"
    for recipient in recipients:
        if not is_address(recipient):
            return f"{recipient!r} is not a plain email address, such as ada@example.com"
    if "=?" in subject:
        return "a subject is plain text, without encoded words (=?…?=)"
    if not 0 < len(subject.strip()) <= MAX_SUBJECT or not subject.strip().isprintable():
        return f"a subject is one line of 1 to {MAX_SUBJECT} characters"
    if not 0 < len(body.strip()) <= MAX_BODY or len(body.splitlines()) > MAX_LINES:
        return f"a text has 1 to {MAX_BODY} characters and at most {MAX_LINES} lines"
    return None


class ButtonPayload(BaseModel):
    """The payload of a card's button: the number of attempts when the card was drawn."""

    attempts: int


async def send(press: WidgetAction) -> Shown:
    """Send the email once, even if Send is pressed several times or in several tabs."""
    settings = EmailSettings()
    emails, email = await _email_of_button(press)
    if obstacle := settings.problem(email.recipients):
        return _card(await _latest(emails, email), press.locale, obstacle)
    try:
        claimed = await emails.claim(email, settings.per_day)
    except DailyLimitReached:
        return _card(await _latest(emails, email), press.locale, _daily_limit_reached(settings))
    if claimed:
        error = await _send(settings, email)
        maybe_sent = error in (None, UNCERTAIN)
        # Stored as the user reads it: the values in it have no column.
        words = error and translate(error, press.locale)
        await emails.finish(email, words, maybe_sent=maybe_sent)
        return _card(await _latest(emails, email), press.locale)
    return _card(await _wait_until_sent(settings, emails, email), press.locale)


async def discard(press: WidgetAction) -> Shown:
    emails, email = await _email_of_button(press)
    await emails.discard(email)
    return _card(await _wait_until_sent(EmailSettings(), emails, email), press.locale)


async def _email_of_button(press: WidgetAction) -> tuple[EmailStore, Email]:
    """The email of the card whose button was pressed, in the state that the card showed."""
    emails = EmailStore(press.database, press.user_id)
    try:
        payload = ButtonPayload.model_validate(press.payload, strict=True)
    except ValidationError:
        raise ToolRefusal("This button does not belong to an email.") from None
    email = await emails.find(press.widget.thread_id, press.widget.id)
    if email is None:
        raise ToolRefusal("This card does not belong to an email.")
    return emails, replace(email, attempts=payload.attempts)


async def _send(settings: EmailSettings, email: Email) -> str | None:
    """Send the email. Returns the error message for the user, or None."""
    try:
        await deliver(settings, email)
    except DeliveryFailed as error:
        return error.message
    except Exception:
        logger.exception("an email may not have been sent")
        return UNCERTAIN
    return None


def _daily_limit_reached(settings: EmailSettings) -> str:
    return Translatable(
        "You have sent {count} email today, and may send no more. "
        "It can be sent from midnight (UTC) on.",
        "You have sent {count} emails today, and may send no more. "
        "It can be sent from midnight (UTC) on.",
        count=settings.per_day,
    )


async def _wait_until_sent(settings: EmailSettings, emails: EmailStore, email: Email) -> Email:
    """Wait while another request sends the email, and return its state after that."""
    await emails.fail_stale(email, settings.timeout_seconds + WORKER_DEAD_SECONDS, UNCERTAIN)
    deadline = time.monotonic() + settings.timeout_seconds + EXTRA_WAIT_SECONDS
    while (latest := await _latest(emails, email)).status == "sending":
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(POLL_SECONDS)
    return latest


async def _latest(emails: EmailStore, email: Email) -> Email:
    latest = await emails.find(email.thread_id, email.item_id)
    if latest is None:
        raise ToolRefusal("This conversation has been deleted.")
    return latest


def _card(email: Email, locale: str, obstacle: str | None = None) -> Shown:
    """The card, which shows the whole email and its state."""

    def say(text: str) -> str:
        return translate(text, locale)

    state, icon = STATES[email.status]
    problem = obstacle or email.error
    to = ", ".join(email.recipients)
    card: dict[str, Any] = {
        "type": "Card",
        "size": "full",
        "status": {"text": say(state), "icon": icon},
        "children": [
            {"type": "Caption", "value": say(Translatable("To {recipients}", recipients=to))},
            {"type": "Text", "value": email.subject, "weight": "semibold"},
            {"type": "Divider"},
            *({"type": "Text", "value": line or " "} for line in email.body.splitlines()),
        ],
    }
    if problem:
        card["children"] += [
            {"type": "Divider"},
            {"type": "Text", "value": say(problem), "color": "danger"},
        ]
    if email.status in BUTTONS:
        card["confirm"] = _button(say(BUTTONS[email.status]), SEND, email)
    if email.status in WAITING:
        card["cancel"] = _button(say("Discard"), DISCARD, email)
    text = f"An email to {to} with the subject {email.subject!r}. Its state: {state}."
    return Shown(DynamicWidgetRoot.model_validate(card), f"{text} {problem}" if problem else text)


def _button(label: str, action: str, email: Email) -> dict[str, Any]:
    return {
        "label": label,
        "action": {
            "type": action,
            "payload": {"attempts": email.attempts},
            "handler": "server",
            "loadingBehavior": "container",
            "streaming": False,
        },
    }


def _demo(text: str) -> DemoCall | None:
    """Recognizes for example `Draft an email to grace@example.com: We launch on Friday`."""
    if not re.search(r"\b(?:draft|write|send)\b.*\bmail\b|\be-?mail\b", text, re.I):
        return None
    found = re.search(r"(\S+@[\w.-]+\w)(?:\s*:\s*(.+))?", text, re.S)
    if found is None:
        return _demo_call("grace@example.com", "We launch on Friday.")
    return _demo_call(found[1], found[2] or "We launch on Friday.")


def _demo_call(to: str, body: str) -> DemoCall:
    return DemoCall("draft_email", {"to": [to], "subject": "A demo", "body": body})


EMAIL = AgentTool(
    id="email",
    label="Email",
    icon="mail",
    functions=(draft_email,),
    placeholder="To whom, and what shall it say?",
    prompt="Draft an email to grace@example.com: We launch on Friday",
    titles={"draft_email": "Drafting an email"},
    demo=_demo,
    demo_default=_demo_call("grace@example.com", "We launch on Friday."),
    actions={SEND: send, DISCARD: discard},
    service=Mail,
)
