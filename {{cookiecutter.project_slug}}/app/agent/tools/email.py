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

from engine import (
    AgentTool,
    DemoCall,
    Shown,
    ToolRefusal,
    TurnContext,
    WidgetAction,
    agent_function,
    translate,
)
from engine.toolkits.email.mail import (
    UNCERTAIN,
    EmailSettings,
    Mail,
    DeliveryFailed,
    deliver,
    is_address,
    split_lines,
)
from engine.toolkits.email.rows import WAITING, Email, EmailStore, DailyLimitReached

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
        await emails.finish(email, error, maybe_sent=error in (None, UNCERTAIN))
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
        return str(error)
    except Exception:
        logger.exception("an email may not have been sent")
        return UNCERTAIN
    return None


def _daily_limit_reached(settings: EmailSettings) -> str:
    return (
        f"You have sent {settings.per_day} emails today, and may send no more. "
        "It can be sent from midnight (UTC) on."
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
        return translate(text, locale, EMAIL.translations)

    state, icon = STATES[email.status]
    problem = obstacle or email.error
    to = ", ".join(email.recipients)
    card: dict[str, Any] = {
        "type": "Card",
        "size": "full",
        "status": {"text": say(state), "icon": icon},
        "children": [
            {"type": "Caption", "value": say("To {}").format(to)},
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
    translations={
        "de": {
            "Email": "E-Mail",
            "To whom, and what shall it say?": "An wen, und was soll darin stehen?",
            "Draft an email to grace@example.com: We launch on Friday": "Entwirf eine E-Mail an grace@example.com: Am Freitag geht es los",
            "Drafting an email": "E-Mail wird entworfen",
            "To {}": "An {}",
            "Draft": "Entwurf",
            "Being sent": "Wird gesendet",
            "Sent": "Gesendet",
            "Not sent": "Nicht gesendet",
            "Discarded": "Verworfen",
            "Send": "Senden",
            "Try again": "Noch einmal versuchen",
            "Look again": "Noch einmal nachsehen",
            "Discard": "Verwerfen",
            "This server has no mail server: EMAIL_HOST and EMAIL_SENDER are not set.": "Dieser Server hat keinen Mailserver: EMAIL_HOST und EMAIL_SENDER sind nicht gesetzt.",
            "This server may send to nobody: EMAIL_RECIPIENT_DOMAINS is empty.": "Dieser Server darf niemandem schreiben: EMAIL_RECIPIENT_DOMAINS ist leer.",
            "This server may not send to this address: {}": "Dieser Server darf nicht an diese Adresse senden: {}",
            "You have sent {} emails today, and may send no more. It can be sent from midnight (UTC) on.": "Sie haben heute {} E-Mails gesendet, mehr dürfen es nicht sein. Ab Mitternacht (UTC) kann sie gesendet werden.",
            "It would not arrive as it is shown here, so nothing was sent. Please have it drafted anew.": "Sie käme nicht so an, wie sie hier zu sehen ist; es wurde nichts gesendet. Bitte lassen Sie sie neu entwerfen.",
            "The mail server cannot be reached right now. Nothing was sent.": "Der Mailserver ist gerade nicht erreichbar. Es wurde nichts gesendet.",
            "There is no secure connection to the mail server. Nothing was sent.": "Es gibt keine sichere Verbindung zum Mailserver. Es wurde nichts gesendet.",
            "The mail server did not confirm it, so it may have arrived. Better ask the recipient before you send it again.": "Der Mailserver hat es nicht bestätigt, sie kann also angekommen sein. Fragen Sie besser nach, bevor Sie noch einmal senden.",
            "The mail server refused this server's credentials. Please tell its operator.": "Der Mailserver hat die Zugangsdaten dieses Servers abgelehnt. Bitte sagen Sie es dem Betreiber.",
            "The mail server refused a recipient ({}). Nothing was sent to: {}": "Der Mailserver hat einen Empfänger abgelehnt ({}). Es wurde nichts gesendet an: {}",
            "The mail server refused the email ({}). Nothing was sent.": "Der Mailserver hat die E-Mail abgelehnt ({}). Es wurde nichts gesendet.",
            "This is no button of an email.": "Das ist keine Schaltfläche einer E-Mail.",
            "This is no card of an email.": "Das ist keine Karte einer E-Mail.",
            "This conversation has been deleted.": "Diese Unterhaltung wurde gelöscht.",
        },
        "es": {
            "Email": "Correo",
            "To whom, and what shall it say?": "¿Para quién, y qué debe decir?",
            "Draft an email to grace@example.com: We launch on Friday": "Redacta un correo para grace@example.com: Lanzamos el viernes",
            "Drafting an email": "Redactando un correo",
            "To {}": "Para {}",
            "Draft": "Borrador",
            "Being sent": "Enviándose",
            "Sent": "Enviado",
            "Not sent": "No enviado",
            "Discarded": "Descartado",
            "Send": "Enviar",
            "Try again": "Intentar de nuevo",
            "Look again": "Mirar de nuevo",
            "Discard": "Descartar",
            "This server has no mail server: EMAIL_HOST and EMAIL_SENDER are not set.": "Este servidor no tiene servidor de correo: faltan EMAIL_HOST y EMAIL_SENDER.",
            "This server may send to nobody: EMAIL_RECIPIENT_DOMAINS is empty.": "Este servidor no puede escribir a nadie: EMAIL_RECIPIENT_DOMAINS está vacío.",
            "This server may not send to this address: {}": "Este servidor no puede enviar a esta dirección: {}",
            "You have sent {} emails today, and may send no more. It can be sent from midnight (UTC) on.": "Hoy ha enviado {} correos y no puede enviar más. Podrá enviarse a partir de medianoche (UTC).",
            "It would not arrive as it is shown here, so nothing was sent. Please have it drafted anew.": "No llegaría como se muestra aquí, así que no se ha enviado nada. Pida que se redacte de nuevo.",
            "The mail server cannot be reached right now. Nothing was sent.": "Ahora no se puede contactar con el servidor de correo. No se ha enviado nada.",
            "There is no secure connection to the mail server. Nothing was sent.": "No hay conexión segura con el servidor de correo. No se ha enviado nada.",
            "The mail server did not confirm it, so it may have arrived. Better ask the recipient before you send it again.": "El servidor de correo no lo ha confirmado, así que puede haber llegado. Pregunte al destinatario antes de enviarlo otra vez.",
            "The mail server refused this server's credentials. Please tell its operator.": "El servidor de correo ha rechazado las credenciales de este servidor. Avise a su operador.",
            "The mail server refused a recipient ({}). Nothing was sent to: {}": "El servidor de correo ha rechazado a un destinatario ({}). No se ha enviado nada a: {}",
            "The mail server refused the email ({}). Nothing was sent.": "El servidor de correo ha rechazado el mensaje ({}). No se ha enviado nada.",
            "This is no button of an email.": "Este no es un botón de un correo.",
            "This is no card of an email.": "Esta no es una tarjeta de correo.",
            "This conversation has been deleted.": "Esta conversación se ha borrado.",
        },
        "fr": {
            "Email": "E-mail",
            "To whom, and what shall it say?": "À qui, et que doit-il dire ?",
            "Draft an email to grace@example.com: We launch on Friday": "Rédige un e-mail à grace@example.com : nous lançons vendredi",
            "Drafting an email": "Rédaction d’un e-mail",
            "To {}": "À {}",
            "Draft": "Brouillon",
            "Being sent": "Envoi en cours",
            "Sent": "Envoyé",
            "Not sent": "Non envoyé",
            "Discarded": "Abandonné",
            "Send": "Envoyer",
            "Try again": "Réessayer",
            "Look again": "Vérifier à nouveau",
            "Discard": "Abandonner",
            "This server has no mail server: EMAIL_HOST and EMAIL_SENDER are not set.": "Ce serveur n’a pas de serveur de messagerie : EMAIL_HOST et EMAIL_SENDER ne sont pas définis.",
            "This server may send to nobody: EMAIL_RECIPIENT_DOMAINS is empty.": "Ce serveur ne peut écrire à personne : EMAIL_RECIPIENT_DOMAINS est vide.",
            "This server may not send to this address: {}": "Ce serveur ne peut pas écrire à cette adresse : {}",
            "You have sent {} emails today, and may send no more. It can be sent from midnight (UTC) on.": "Vous avez envoyé {} e-mails aujourd’hui et ne pouvez pas en envoyer plus. Il pourra partir à partir de minuit (UTC).",
            "It would not arrive as it is shown here, so nothing was sent. Please have it drafted anew.": "Il n’arriverait pas tel qu’il est montré ici, rien n’a donc été envoyé. Faites-le rédiger à nouveau.",
            "The mail server cannot be reached right now. Nothing was sent.": "Le serveur de messagerie est injoignable pour l’instant. Rien n’a été envoyé.",
            "There is no secure connection to the mail server. Nothing was sent.": "Il n’y a pas de connexion sûre au serveur de messagerie. Rien n’a été envoyé.",
            "The mail server did not confirm it, so it may have arrived. Better ask the recipient before you send it again.": "Le serveur de messagerie ne l’a pas confirmé : il est peut-être arrivé. Demandez au destinataire avant de le renvoyer.",
            "The mail server refused this server's credentials. Please tell its operator.": "Le serveur de messagerie a refusé les identifiants de ce serveur. Veuillez prévenir son exploitant.",
            "The mail server refused a recipient ({}). Nothing was sent to: {}": "Le serveur de messagerie a refusé un destinataire ({}). Rien n’a été envoyé à : {}",
            "The mail server refused the email ({}). Nothing was sent.": "Le serveur de messagerie a refusé l’e-mail ({}). Rien n’a été envoyé.",
            "This is no button of an email.": "Ce n’est pas un bouton d’e-mail.",
            "This is no card of an email.": "Ce n’est pas une carte d’e-mail.",
            "This conversation has been deleted.": "Cette conversation a été supprimée.",
        },
        "ja": {
            "Email": "メール",
            "To whom, and what shall it say?": "誰に、何を伝えますか？",
            "Draft an email to grace@example.com: We launch on Friday": "grace@example.com 宛てのメールの下書きを作って: 金曜日に公開します",
            "Drafting an email": "メールの下書きを作成しています",
            "To {}": "宛先: {}",
            "Draft": "下書き",
            "Being sent": "送信中",
            "Sent": "送信済み",
            "Not sent": "未送信",
            "Discarded": "破棄済み",
            "Send": "送信",
            "Try again": "もう一度試す",
            "Look again": "もう一度確認",
            "Discard": "破棄",
            "This server has no mail server: EMAIL_HOST and EMAIL_SENDER are not set.": "メールサーバーがありません。EMAIL_HOST と EMAIL_SENDER が設定されていません。",
            "This server may send to nobody: EMAIL_RECIPIENT_DOMAINS is empty.": "どの宛先にも送信できません。EMAIL_RECIPIENT_DOMAINS が空です。",
            "This server may not send to this address: {}": "この宛先には送信できません: {}",
            "You have sent {} emails today, and may send no more. It can be sent from midnight (UTC) on.": "今日はすでに{}通のメールを送信したため、これ以上は送信できません。午前0時（UTC）以降に送信できます。",
            "It would not arrive as it is shown here, so nothing was sent. Please have it drafted anew.": "ここに表示されているとおりには届かないため、何も送信されていません。もう一度下書きを作成してください。",
            "The mail server cannot be reached right now. Nothing was sent.": "現在メールサーバーに接続できません。何も送信されていません。",
            "There is no secure connection to the mail server. Nothing was sent.": "メールサーバーへの安全な接続がありません。何も送信されていません。",
            "The mail server did not confirm it, so it may have arrived. Better ask the recipient before you send it again.": "メールサーバーの確認が取れませんでした。届いている可能性があるため、再送する前に相手に確認してください。",
            "The mail server refused this server's credentials. Please tell its operator.": "メールサーバーがこのサーバーの認証情報を拒否しました。運営者にお知らせください。",
            "The mail server refused a recipient ({}). Nothing was sent to: {}": "メールサーバーが宛先を拒否しました ({})。送信されていません: {}",
            "The mail server refused the email ({}). Nothing was sent.": "メールサーバーがメールを拒否しました ({})。何も送信されていません。",
            "This is no button of an email.": "これはメールのボタンではありません。",
            "This is no card of an email.": "これはメールのカードではありません。",
            "This conversation has been deleted.": "この会話は削除されました。",
        },
    },
    demo=_demo,
    demo_default=_demo_call("grace@example.com", "We launch on Friday."),
    actions={SEND: send, DISCARD: discard},
    service=Mail,
)
