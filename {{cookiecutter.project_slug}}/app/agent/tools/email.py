"""Emails that the assistant drafts and the user sends, with the button of their card."""

import asyncio
import logging
import re
import time
from dataclasses import replace
from typing import Any

from agents import RunContextWrapper
from chatkit.widgets import DynamicWidgetRoot
from pydantic import BaseModel, ValidationError

from app.agent.actions import Shown, WidgetAction
from app.agent.context import TurnContext
from app.agent.mail import UNCERTAIN, EmailSettings, Mail, Undelivered, deliver, is_address
from app.agent.services import ToolRefusal
from app.agent.tools.base import AgentTool, DemoCall, agent_function
from app.stores.emails import WAITING, Email, EmailStore, UsedUp

logger = logging.getLogger(__name__)

MAX_RECIPIENTS = 10
MAX_SUBJECT = 200
MAX_BODY = 10_000
MAX_LINES = 300

SEND = "email.send"
DISCARD = "email.discard"

LOOK_SECONDS = 0.2
# Over and above the longest time that a delivery takes: how long another press waits for its end,
# and after how long that cannot come any more, because its worker has died.
WAIT_SECONDS = 5.0
DEAD_SECONDS = 30.0

STATES = {
    "draft": ("Draft", "mail"),
    "sending": ("Being sent", "clock"),
    "sent": ("Sent", "check-circle"),
    "failed": ("Not sent", "info"),
    "discarded": ("Discarded", "info"),
}
# A press while it is being sent looks again.
BUTTONS = {"draft": "Send", "failed": "Try again", "sending": "Look again"}


@agent_function
async def draft_email(
    turn: RunContextWrapper[TurnContext], to: list[str], subject: str, body: str
) -> str:
    """Draft an email and show it to the user. This sends nothing: the user reads the draft and
    presses Send below it, or does not. Never say that it was sent. To change a draft, make a new one.

    Args:
        to: The addresses of the recipients, 1 to 10, without their names.
        subject: The subject, one line.
        body: The whole text, plain, with its greeting and signature.
    """
    recipients = list(dict.fromkeys(address.strip() for address in to))
    if problem := _problem(recipients, subject, body):
        raise ToolRefusal(f"the email was not drafted, because {problem}.")
    context = turn.context
    email = Email(
        context.thread.id, context.generate_id("message"), recipients, subject.strip(), body
    )
    emails, settings = EmailStore(context.database, context.user_id), EmailSettings()
    await emails.add(email)
    obstacle = settings.problem(recipients)
    if settings.per_day and await emails.sent_today() >= settings.per_day:
        obstacle = obstacle or _used_up(settings)
    shown = _card(email, obstacle)
    context.show(shown.widget, shown.text, item_id=email.item_id)
    if obstacle:
        return f"Drafted and shown, but it cannot be sent. {obstacle}"
    return "Drafted and shown. It has not been sent: only the user can do that, in the card."


def _problem(recipients: list[str], subject: str, body: str) -> str | None:
    """Why there is no such email, in words for the model."""
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        return f"it has {len(recipients)} recipients, and 1 to {MAX_RECIPIENTS} are possible"
    for recipient in recipients:
        if not is_address(recipient):
            return f"{recipient!r} is no plain address, such as ada@example.com"
    if not 0 < len(subject.strip()) <= MAX_SUBJECT or not subject.strip().isprintable():
        return f"a subject is one line of 1 to {MAX_SUBJECT} characters"
    if not 0 < len(body.strip()) <= MAX_BODY or len(body.splitlines()) > MAX_LINES:
        return f"a text has 1 to {MAX_BODY} characters and at most {MAX_LINES} lines"
    return None


class Seen(BaseModel):
    """What a button of the card carries: how often the email had been tried when it was drawn."""

    attempts: int


async def send(press: WidgetAction) -> Shown:
    """Send it, unless somebody else does: one press of all counts, in whichever tab."""
    settings = EmailSettings()
    emails, email = await _pressed(press)
    if obstacle := settings.problem(email.recipients):
        return _card(await _latest(emails, email), obstacle)
    try:
        is_ours = await emails.claim(email, settings.per_day)
    except UsedUp:
        return _card(await _latest(emails, email), _used_up(settings))
    if is_ours:
        error = await _send(settings, email)
        await emails.settle(email, error, maybe_sent=error in (None, UNCERTAIN))
        return _card(await _latest(emails, email))
    return _card(await _settled(settings, emails, email))


async def discard(press: WidgetAction) -> Shown:
    emails, email = await _pressed(press)
    await emails.discard(email)
    return _card(await _settled(EmailSettings(), emails, email))


async def _pressed(press: WidgetAction) -> tuple[EmailStore, Email]:
    """The email of the card whose button it was, in the state that the card showed."""
    emails = EmailStore(press.database, press.user_id)
    try:
        seen = Seen.model_validate(press.payload, strict=True)
    except ValidationError:
        raise ToolRefusal("This is no button of an email.") from None
    email = await emails.of_card(press.widget.thread_id, press.widget.id)
    if email is None:
        raise ToolRefusal("This is no card of an email.")
    return emails, replace(email, attempts=seen.attempts)


async def _send(settings: EmailSettings, email: Email) -> str | None:
    """What went wrong, in words for the user."""
    try:
        await deliver(settings, email)
    except Undelivered as error:
        return str(error)
    except Exception:
        logger.exception("an email may not have been sent")
        return UNCERTAIN
    return None


def _used_up(settings: EmailSettings) -> str:
    return (
        f"You have sent {settings.per_day} emails today, and may send no more. "
        "It can be sent from midnight (UTC) on."
    )


async def _settled(settings: EmailSettings, emails: EmailStore, email: Email) -> Email:
    """The email once nobody sends it any more: another press may be doing so just now."""
    await emails.give_up(email, settings.timeout_seconds + DEAD_SECONDS, UNCERTAIN)
    deadline = time.monotonic() + settings.timeout_seconds + WAIT_SECONDS
    while (latest := await _latest(emails, email)).status == "sending":
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return latest


async def _latest(emails: EmailStore, email: Email) -> Email:
    latest = await emails.of_card(email.thread_id, email.item_id)
    if latest is None:
        raise ToolRefusal("This conversation has been deleted.")
    return latest


def _card(email: Email, obstacle: str | None = None) -> Shown:
    """It shows all of what is sent, and how that stands."""
    state, icon = STATES[email.status]
    problem = obstacle or email.error
    to = ", ".join(email.recipients)
    card: dict[str, Any] = {
        "type": "Card",
        "size": "full",
        "status": {"text": state, "icon": icon},
        "children": [
            {"type": "Caption", "value": f"To {to}"},
            {"type": "Text", "value": email.subject, "weight": "semibold"},
            {"type": "Divider"},
            *({"type": "Text", "value": line or " "} for line in email.body.splitlines()),
        ],
    }
    if problem:
        card["children"] += [
            {"type": "Divider"},
            {"type": "Text", "value": problem, "color": "danger"},
        ]
    if email.status in BUTTONS:
        card["confirm"] = _button(BUTTONS[email.status], SEND, email)
    if email.status in WAITING:
        card["cancel"] = _button("Discard", DISCARD, email)
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
    """`Draft an email to grace@example.com: We launch on Friday` drafts just that."""
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
