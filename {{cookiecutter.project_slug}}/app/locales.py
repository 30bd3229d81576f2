"""What the application says, in every language that it speaks. English is what the code says.

A text is looked up as it stands in the code, with `{}` for each number in it and for what follows a
colon at its end. Tools, sign-in pages and attachments bring the translations of their own texts;
`page.toml` and `static/js/texts.js` have those of the page.
"""

import re
from collections.abc import Iterator, Mapping

ENGLISH = "en"
LANGUAGES = (ENGLISH, "de", "es", "fr", "ja")

Translations = Mapping[str, Mapping[str, str]]
"""By language, then by English text."""

_NUMBER = re.compile(r"\d+")

CATALOGUE: Translations = {
    "de": {
        "A message has at most {} characters.": "Eine Nachricht hat höchstens {} Zeichen.",
        "A request has at most {} bytes.": "Eine Anfrage hat höchstens {} Bytes.",
        "A result has at most {} characters.": "Ein Ergebnis hat höchstens {} Zeichen.",
        "A title has {} to {} characters.": "Ein Titel hat {} bis {} Zeichen.",
        "An action comes from a widget.": "Eine Aktion kommt aus einem Widget.",
        "An answer is still being written in this conversation.": "In dieser Unterhaltung wird noch eine Antwort geschrieben.",
        "Analyzing request": "Anfrage wird gelesen",
        "No client tool is waiting for a result in this conversation.": "In dieser Unterhaltung wartet kein Werkzeug der Seite auf ein Ergebnis.",
        "Only an answer to a message of the user can be tried again.": "Nur eine Antwort auf eine Nachricht kann wiederholt werden.",
        "Searched the web": "Im Web gesucht",
        "Searching the web": "Suche im Web",
        "Something went wrong on our side.": "Bei uns ist etwas schiefgegangen.",
        "Something went wrong while answering. Please try again.": "Beim Antworten ist etwas schiefgegangen. Bitte versuchen Sie es noch einmal.",
        "Sources": "Quellen",
        "That was a lot in one minute. Please wait a moment.": "Das war viel in einer Minute. Bitte warten Sie einen Moment.",
        "The database did not answer for a while.": "Die Datenbank hat eine Weile nicht geantwortet.",
        "The database is not reachable right now.": "Die Datenbank ist gerade nicht erreichbar.",
        "The message is empty.": "Die Nachricht ist leer.",
        "The model broke off its answer. Please try again.": "Das Modell hat seine Antwort abgebrochen. Bitte versuchen Sie es noch einmal.",
        "The model cannot be reached right now. Please try again in a moment.": "Das Modell ist gerade nicht erreichbar. Bitte versuchen Sie es gleich noch einmal.",
        "The model could not take this request.": "Das Modell konnte mit dieser Anfrage nichts anfangen.",
        "The model is busy right now. Please try again in a moment.": "Das Modell ist gerade ausgelastet. Bitte versuchen Sie es gleich noch einmal.",
        "The model refused this server's credentials. Please tell its operator.": "Das Modell hat die Zugangsdaten dieses Servers abgelehnt. Bitte sagen Sie es dem Betreiber.",
        "The model took too long to answer. Please try again.": "Das Modell hat zu lange gebraucht. Bitte versuchen Sie es noch einmal.",
        "The server is busy right now. Please try again.": "Der Server ist gerade ausgelastet. Bitte versuchen Sie es noch einmal.",
        "The server is restarting. What was said is kept; please try again in a moment.": "Der Server startet neu. Was gesagt wurde, ist gespeichert; bitte versuchen Sie es gleich noch einmal.",
        "There is no such action.": "Diese Aktion gibt es nicht.",
        "This answer was interrupted. Please try again.": "Diese Antwort wurde unterbrochen. Bitte versuchen Sie es noch einmal.",
        "This application takes no attachments.": "Diese Anwendung nimmt keine Anhänge an.",
        "This application takes no dictation.": "Diese Anwendung nimmt kein Diktat an.",
        "This conversation is closed.": "Diese Unterhaltung ist geschlossen.",
        "This conversation is closed: {}": "Diese Unterhaltung ist geschlossen: {}",
        "This conversation is locked.": "Diese Unterhaltung ist gesperrt.",
        "This conversation is locked: {}": "Diese Unterhaltung ist gesperrt: {}",
        "This message is being answered or has been answered already.": "Diese Nachricht wird gerade beantwortet oder ist es schon.",
        "This message is still on its way. Please try again in a moment.": "Diese Nachricht ist noch unterwegs. Bitte versuchen Sie es gleich noch einmal.",
        "This model is not on offer.": "Dieses Modell wird nicht angeboten.",
        "This page reports too much.": "Diese Seite meldet zu viel.",
        "This question is not waiting for an answer.": "Diese Frage wartet auf keine Antwort.",
        "This server has used up its account. Please tell its operator.": "Das Guthaben dieses Servers ist aufgebraucht. Bitte sagen Sie es dem Betreiber.",
        "This server is about to stop. Please try again.": "Dieser Server wird gerade beendet. Bitte versuchen Sie es noch einmal.",
        "This took too many steps. Please ask for something smaller.": "Das brauchte zu viele Schritte. Bitte fragen Sie nach etwas Kleinerem.",
        "This tool does not work with this model.": "Dieses Werkzeug gibt es mit diesem Modell nicht.",
        "This tool is not on offer.": "Dieses Werkzeug wird nicht angeboten.",
        "Too much at once. Please try again in a moment.": "Das war zu viel auf einmal. Bitte versuchen Sie es gleich noch einmal.",
        "Using {}": "{} wird genutzt",
        "You have used up today's allowance. Please come back later.": "Ihr Kontingent für heute ist aufgebraucht. Bitte kommen Sie später wieder.",
        "You have {} answers being written already. Please wait for one of them.": "Es werden schon {} Antworten für Sie geschrieben. Bitte warten Sie auf eine davon.",
    },
    "es": {
        "A message has at most {} characters.": "Un mensaje tiene como máximo {} caracteres.",
        "A request has at most {} bytes.": "Una solicitud tiene como máximo {} bytes.",
        "A result has at most {} characters.": "Un resultado tiene como máximo {} caracteres.",
        "A title has {} to {} characters.": "Un título tiene de {} a {} caracteres.",
        "An action comes from a widget.": "Una acción procede de un widget.",
        "An answer is still being written in this conversation.": "Todavía se está escribiendo una respuesta en esta conversación.",
        "Analyzing request": "Analizando la solicitud",
        "No client tool is waiting for a result in this conversation.": "Ninguna herramienta de la página espera un resultado en esta conversación.",
        "Only an answer to a message of the user can be tried again.": "Solo se puede repetir una respuesta a un mensaje del usuario.",
        "Searched the web": "Búsqueda en la web hecha",
        "Searching the web": "Buscando en la web",
        "Something went wrong on our side.": "Algo ha fallado por nuestra parte.",
        "Something went wrong while answering. Please try again.": "Algo ha fallado al responder. Inténtelo de nuevo.",
        "Sources": "Fuentes",
        "That was a lot in one minute. Please wait a moment.": "Eso ha sido mucho en un minuto. Espere un momento.",
        "The database did not answer for a while.": "La base de datos no ha respondido durante un rato.",
        "The database is not reachable right now.": "Ahora no se puede contactar con la base de datos.",
        "The message is empty.": "El mensaje está vacío.",
        "The model broke off its answer. Please try again.": "El modelo ha interrumpido su respuesta. Inténtelo de nuevo.",
        "The model cannot be reached right now. Please try again in a moment.": "Ahora no se puede contactar con el modelo. Inténtelo de nuevo en un momento.",
        "The model could not take this request.": "El modelo no ha podido aceptar esta solicitud.",
        "The model is busy right now. Please try again in a moment.": "El modelo está ocupado. Inténtelo de nuevo en un momento.",
        "The model refused this server's credentials. Please tell its operator.": "El modelo ha rechazado las credenciales de este servidor. Avise a su operador.",
        "The model took too long to answer. Please try again.": "El modelo ha tardado demasiado. Inténtelo de nuevo.",
        "The server is busy right now. Please try again.": "El servidor está ocupado. Inténtelo de nuevo.",
        "The server is restarting. What was said is kept; please try again in a moment.": "El servidor se está reiniciando. Lo dicho se ha guardado; inténtelo de nuevo en un momento.",
        "There is no such action.": "Esa acción no existe.",
        "This answer was interrupted. Please try again.": "Esta respuesta se ha interrumpido. Inténtelo de nuevo.",
        "This application takes no attachments.": "Esta aplicación no acepta archivos adjuntos.",
        "This application takes no dictation.": "Esta aplicación no acepta dictados.",
        "This conversation is closed.": "Esta conversación está cerrada.",
        "This conversation is closed: {}": "Esta conversación está cerrada: {}",
        "This conversation is locked.": "Esta conversación está bloqueada.",
        "This conversation is locked: {}": "Esta conversación está bloqueada: {}",
        "This message is being answered or has been answered already.": "Este mensaje se está respondiendo o ya se ha respondido.",
        "This message is still on its way. Please try again in a moment.": "Este mensaje aún está en camino. Inténtelo de nuevo en un momento.",
        "This model is not on offer.": "Este modelo no está disponible.",
        "This page reports too much.": "Esta página informa demasiado.",
        "This question is not waiting for an answer.": "Esta pregunta no espera respuesta.",
        "This server has used up its account. Please tell its operator.": "Este servidor ha agotado su cuenta. Avise a su operador.",
        "This server is about to stop. Please try again.": "Este servidor está a punto de detenerse. Inténtelo de nuevo.",
        "This took too many steps. Please ask for something smaller.": "Esto requería demasiados pasos. Pida algo más pequeño.",
        "This tool does not work with this model.": "Esta herramienta no funciona con este modelo.",
        "This tool is not on offer.": "Esta herramienta no está disponible.",
        "Too much at once. Please try again in a moment.": "Demasiado a la vez. Inténtelo de nuevo en un momento.",
        "Using {}": "Usando {}",
        "You have used up today's allowance. Please come back later.": "Ha agotado su límite de hoy. Vuelva más tarde.",
        "You have {} answers being written already. Please wait for one of them.": "Ya se están escribiendo {} respuestas para usted. Espere a que termine una.",
    },
    "fr": {
        "A message has at most {} characters.": "Un message compte {} caractères au plus.",
        "A request has at most {} bytes.": "Une requête compte {} octets au plus.",
        "A result has at most {} characters.": "Un résultat compte {} caractères au plus.",
        "A title has {} to {} characters.": "Un titre compte de {} à {} caractères.",
        "An action comes from a widget.": "Une action vient d’un widget.",
        "An answer is still being written in this conversation.": "Une réponse est encore en cours d’écriture dans cette conversation.",
        "Analyzing request": "Analyse de la demande",
        "No client tool is waiting for a result in this conversation.": "Aucun outil de la page n’attend de résultat dans cette conversation.",
        "Only an answer to a message of the user can be tried again.": "Seule une réponse à un message peut être relancée.",
        "Searched the web": "Recherche sur le web terminée",
        "Searching the web": "Recherche sur le web",
        "Something went wrong on our side.": "Un problème est survenu de notre côté.",
        "Something went wrong while answering. Please try again.": "Un problème est survenu pendant la réponse. Veuillez réessayer.",
        "Sources": "Sources",
        "That was a lot in one minute. Please wait a moment.": "C’était beaucoup en une minute. Veuillez patienter un instant.",
        "The database did not answer for a while.": "La base de données n’a pas répondu pendant un moment.",
        "The database is not reachable right now.": "La base de données est injoignable pour l’instant.",
        "The message is empty.": "Le message est vide.",
        "The model broke off its answer. Please try again.": "Le modèle a interrompu sa réponse. Veuillez réessayer.",
        "The model cannot be reached right now. Please try again in a moment.": "Le modèle est injoignable pour l’instant. Veuillez réessayer dans un moment.",
        "The model could not take this request.": "Le modèle n’a pas pu traiter cette demande.",
        "The model is busy right now. Please try again in a moment.": "Le modèle est occupé. Veuillez réessayer dans un moment.",
        "The model refused this server's credentials. Please tell its operator.": "Le modèle a refusé les identifiants de ce serveur. Veuillez prévenir son exploitant.",
        "The model took too long to answer. Please try again.": "Le modèle a mis trop de temps à répondre. Veuillez réessayer.",
        "The server is busy right now. Please try again.": "Le serveur est occupé. Veuillez réessayer.",
        "The server is restarting. What was said is kept; please try again in a moment.": "Le serveur redémarre. Ce qui a été dit est conservé ; veuillez réessayer dans un moment.",
        "There is no such action.": "Cette action n’existe pas.",
        "This answer was interrupted. Please try again.": "Cette réponse a été interrompue. Veuillez réessayer.",
        "This application takes no attachments.": "Cette application n’accepte pas de pièces jointes.",
        "This application takes no dictation.": "Cette application n’accepte pas de dictée.",
        "This conversation is closed.": "Cette conversation est close.",
        "This conversation is closed: {}": "Cette conversation est close : {}",
        "This conversation is locked.": "Cette conversation est verrouillée.",
        "This conversation is locked: {}": "Cette conversation est verrouillée : {}",
        "This message is being answered or has been answered already.": "Ce message est en cours de réponse ou a déjà reçu la sienne.",
        "This message is still on its way. Please try again in a moment.": "Ce message est encore en route. Veuillez réessayer dans un moment.",
        "This model is not on offer.": "Ce modèle n’est pas proposé.",
        "This page reports too much.": "Cette page signale trop de choses.",
        "This question is not waiting for an answer.": "Cette question n’attend pas de réponse.",
        "This server has used up its account. Please tell its operator.": "Ce serveur a épuisé son compte. Veuillez prévenir son exploitant.",
        "This server is about to stop. Please try again.": "Ce serveur va s’arrêter. Veuillez réessayer.",
        "This took too many steps. Please ask for something smaller.": "Cela demandait trop d’étapes. Veuillez demander quelque chose de plus petit.",
        "This tool does not work with this model.": "Cet outil ne fonctionne pas avec ce modèle.",
        "This tool is not on offer.": "Cet outil n’est pas proposé.",
        "Too much at once. Please try again in a moment.": "Trop à la fois. Veuillez réessayer dans un moment.",
        "Using {}": "Utilisation de {}",
        "You have used up today's allowance. Please come back later.": "Vous avez épuisé votre quota du jour. Revenez plus tard.",
        "You have {} answers being written already. Please wait for one of them.": "{} réponses sont déjà en cours d’écriture pour vous. Veuillez en attendre une.",
    },
    "ja": {
        "A message has at most {} characters.": "メッセージは最大{}文字です。",
        "A request has at most {} bytes.": "リクエストは最大{}バイトです。",
        "A result has at most {} characters.": "結果は最大{}文字です。",
        "A title has {} to {} characters.": "タイトルは{}〜{}文字です。",
        "An action comes from a widget.": "操作はウィジェットから行う必要があります。",
        "An answer is still being written in this conversation.": "この会話では回答がまだ作成中です。",
        "Analyzing request": "リクエストを分析しています",
        "No client tool is waiting for a result in this conversation.": "この会話で結果を待っているページのツールはありません。",
        "Only an answer to a message of the user can be tried again.": "再試行できるのはメッセージへの回答だけです。",
        "Searched the web": "ウェブを検索しました",
        "Searching the web": "ウェブを検索しています",
        "Something went wrong on our side.": "サーバーで問題が発生しました。",
        "Something went wrong while answering. Please try again.": "回答中に問題が発生しました。もう一度お試しください。",
        "Sources": "出典",
        "That was a lot in one minute. Please wait a moment.": "1分間の送信数が多すぎます。少しお待ちください。",
        "The database did not answer for a while.": "データベースがしばらく応答しませんでした。",
        "The database is not reachable right now.": "現在データベースに接続できません。",
        "The message is empty.": "メッセージが空です。",
        "The model broke off its answer. Please try again.": "モデルが回答を中断しました。もう一度お試しください。",
        "The model cannot be reached right now. Please try again in a moment.": "現在モデルに接続できません。少し待ってからもう一度お試しください。",
        "The model could not take this request.": "モデルはこのリクエストを処理できませんでした。",
        "The model is busy right now. Please try again in a moment.": "モデルが混み合っています。少し待ってからもう一度お試しください。",
        "The model refused this server's credentials. Please tell its operator.": "モデルがこのサーバーの認証情報を拒否しました。運営者にお知らせください。",
        "The model took too long to answer. Please try again.": "モデルの回答に時間がかかりすぎました。もう一度お試しください。",
        "The server is busy right now. Please try again.": "サーバーが混み合っています。もう一度お試しください。",
        "The server is restarting. What was said is kept; please try again in a moment.": "サーバーを再起動しています。これまでの内容は保存されています。少し待ってからもう一度お試しください。",
        "There is no such action.": "そのような操作はありません。",
        "This answer was interrupted. Please try again.": "この回答は中断されました。もう一度お試しください。",
        "This application takes no attachments.": "このアプリケーションは添付ファイルを受け付けません。",
        "This application takes no dictation.": "このアプリケーションは音声入力を受け付けません。",
        "This conversation is closed.": "この会話は終了しています。",
        "This conversation is closed: {}": "この会話は終了しています: {}",
        "This conversation is locked.": "この会話はロックされています。",
        "This conversation is locked: {}": "この会話はロックされています: {}",
        "This message is being answered or has been answered already.": "このメッセージは回答中か、すでに回答済みです。",
        "This message is still on its way. Please try again in a moment.": "このメッセージはまだ送信中です。少し待ってからもう一度お試しください。",
        "This model is not on offer.": "このモデルは利用できません。",
        "This page reports too much.": "このページからの報告が多すぎます。",
        "This question is not waiting for an answer.": "この質問は回答を待っていません。",
        "This server has used up its account. Please tell its operator.": "このサーバーの利用枠がなくなりました。運営者にお知らせください。",
        "This server is about to stop. Please try again.": "このサーバーはまもなく停止します。もう一度お試しください。",
        "This took too many steps. Please ask for something smaller.": "手順が多すぎました。もう少し小さな内容でお試しください。",
        "This tool does not work with this model.": "このツールはこのモデルでは利用できません。",
        "This tool is not on offer.": "このツールは利用できません。",
        "Too much at once. Please try again in a moment.": "同時に多すぎます。少し待ってからもう一度お試しください。",
        "Using {}": "{}を使用しています",
        "You have used up today's allowance. Please come back later.": "本日の利用枠を使い切りました。後でまたお越しください。",
        "You have {} answers being written already. Please wait for one of them.": "すでに{}件の回答を作成中です。いずれかが終わるまでお待ちください。",
    },
}


def language_of(accept_language: str) -> str:
    """The first language of the header that is spoken here, else English."""
    for part in accept_language.split(","):
        language = part.split(";")[0].strip().split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return ENGLISH


def translate(text: str, locale: str, own: Translations | None = None) -> str:
    """The text in the language of `locale`, for example `de-DE`; as it is where nobody put it so."""
    language = language_of(locale)
    known = {**CATALOGUE.get(language, {}), **(own or {}).get(language, {})}
    if text in known:
        return known[text]
    for pattern, values in _readings(text):
        if pattern in known:
            return known[pattern].format(*values)
    return text


def joined(*catalogues: Translations) -> Translations:
    return {
        language: {en: text for texts in catalogues for en, text in texts.get(language, {}).items()}
        for language in LANGUAGES
    }


def _readings(text: str) -> Iterator[tuple[str, list[str]]]:
    """As the catalogue may name it, and what stands at each `{}`."""
    yield _NUMBER.sub("{}", text), _NUMBER.findall(text)
    head, _, tail = text.partition(": ")
    yield _NUMBER.sub("{}", head) + ": {}", [*_NUMBER.findall(head), tail]
