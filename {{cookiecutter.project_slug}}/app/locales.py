"""What the application says, in every language that it speaks. English is what the code says.

A text is looked up as it stands in the code, with `{}` for each number in it. Tools bring the
translations of their own texts, and `page.toml` those of the page.
"""

import re
from collections.abc import Mapping

ENGLISH = "en"
LANGUAGES = (ENGLISH, "de", "es", "fr", "ja")

Translations = Mapping[str, Mapping[str, str]]
"""By language, then by English text."""

_NUMBER = re.compile(r"\d+")

CATALOGUE: Translations = {
    "de": {
        "A message has at most {} characters.": "Eine Nachricht hat höchstens {} Zeichen.",
        "A request has at most {} bytes.": "Eine Anfrage hat höchstens {} Bytes.",
        "An answer is still being written in this conversation.": "In dieser Unterhaltung wird noch eine Antwort geschrieben.",
        "Analyzing request": "Anfrage wird gelesen",
        "Chat": "Chat",
        "Close": "Schließen",
        "Searched the web": "Im Web gesucht",
        "Searching the web": "Suche im Web",
        "Something went wrong on our side.": "Bei uns ist etwas schiefgegangen.",
        "Something went wrong while answering. Please try again.": "Beim Antworten ist etwas schiefgegangen. Bitte versuchen Sie es noch einmal.",
        "That was a lot in one minute. Please wait a moment.": "Das war viel in einer Minute. Bitte warten Sie einen Moment.",
        "The database did not answer for a while.": "Die Datenbank hat eine Weile nicht geantwortet.",
        "The message is empty.": "Die Nachricht ist leer.",
        "The model broke off its answer. Please try again.": "Das Modell hat seine Antwort abgebrochen. Bitte versuchen Sie es noch einmal.",
        "The model cannot be reached right now. Please try again in a moment.": "Das Modell ist gerade nicht erreichbar. Bitte versuchen Sie es gleich noch einmal.",
        "The model could not take this request.": "Das Modell konnte mit dieser Anfrage nichts anfangen.",
        "The model is busy right now. Please try again in a moment.": "Das Modell ist gerade ausgelastet. Bitte versuchen Sie es gleich noch einmal.",
        "The model refused this server's credentials. Please tell its operator.": "Das Modell hat die Zugangsdaten dieses Servers abgelehnt. Bitte sagen Sie es dem Betreiber.",
        "The model took too long to answer. Please try again.": "Das Modell hat zu lange gebraucht. Bitte versuchen Sie es noch einmal.",
        "This answer was interrupted. Please try again.": "Diese Antwort wurde unterbrochen. Bitte versuchen Sie es noch einmal.",
        "This message is being answered or has been answered already.": "Diese Nachricht wird gerade beantwortet oder ist es schon.",
        "This message is still on its way. Please try again in a moment.": "Diese Nachricht ist noch unterwegs. Bitte versuchen Sie es gleich noch einmal.",
        "This server has used up its account. Please tell its operator.": "Das Guthaben dieses Servers ist aufgebraucht. Bitte sagen Sie es dem Betreiber.",
        "This server is about to stop. Please try again.": "Dieser Server wird gerade beendet. Bitte versuchen Sie es noch einmal.",
        "This took too many steps. Please ask for something smaller.": "Das brauchte zu viele Schritte. Bitte fragen Sie nach etwas Kleinerem.",
        "Too much at once. Please try again in a moment.": "Das war zu viel auf einmal. Bitte versuchen Sie es gleich noch einmal.",
        "You have used up today's allowance. Please come back later.": "Ihr Kontingent für heute ist aufgebraucht. Bitte kommen Sie später wieder.",
        "You have {} answers being written already. Please wait for one of them.": "Es werden schon {} Antworten für Sie geschrieben. Bitte warten Sie auf eine davon.",
    },
    "es": {
        "A message has at most {} characters.": "Un mensaje tiene como máximo {} caracteres.",
        "A request has at most {} bytes.": "Una solicitud tiene como máximo {} bytes.",
        "An answer is still being written in this conversation.": "Todavía se está escribiendo una respuesta en esta conversación.",
        "Analyzing request": "Analizando la solicitud",
        "Chat": "Chat",
        "Close": "Cerrar",
        "Searched the web": "Búsqueda en la web hecha",
        "Searching the web": "Buscando en la web",
        "Something went wrong on our side.": "Algo ha fallado por nuestra parte.",
        "Something went wrong while answering. Please try again.": "Algo ha fallado al responder. Inténtelo de nuevo.",
        "That was a lot in one minute. Please wait a moment.": "Eso ha sido mucho en un minuto. Espere un momento.",
        "The database did not answer for a while.": "La base de datos no ha respondido durante un rato.",
        "The message is empty.": "El mensaje está vacío.",
        "The model broke off its answer. Please try again.": "El modelo ha interrumpido su respuesta. Inténtelo de nuevo.",
        "The model cannot be reached right now. Please try again in a moment.": "Ahora no se puede contactar con el modelo. Inténtelo de nuevo en un momento.",
        "The model could not take this request.": "El modelo no ha podido aceptar esta solicitud.",
        "The model is busy right now. Please try again in a moment.": "El modelo está ocupado. Inténtelo de nuevo en un momento.",
        "The model refused this server's credentials. Please tell its operator.": "El modelo ha rechazado las credenciales de este servidor. Avise a su operador.",
        "The model took too long to answer. Please try again.": "El modelo ha tardado demasiado. Inténtelo de nuevo.",
        "This answer was interrupted. Please try again.": "Esta respuesta se ha interrumpido. Inténtelo de nuevo.",
        "This message is being answered or has been answered already.": "Este mensaje se está respondiendo o ya se ha respondido.",
        "This message is still on its way. Please try again in a moment.": "Este mensaje aún está en camino. Inténtelo de nuevo en un momento.",
        "This server has used up its account. Please tell its operator.": "Este servidor ha agotado su cuenta. Avise a su operador.",
        "This server is about to stop. Please try again.": "Este servidor está a punto de detenerse. Inténtelo de nuevo.",
        "This took too many steps. Please ask for something smaller.": "Esto requería demasiados pasos. Pida algo más pequeño.",
        "Too much at once. Please try again in a moment.": "Demasiado a la vez. Inténtelo de nuevo en un momento.",
        "You have used up today's allowance. Please come back later.": "Ha agotado su límite de hoy. Vuelva más tarde.",
        "You have {} answers being written already. Please wait for one of them.": "Ya se están escribiendo {} respuestas para usted. Espere a que termine una.",
    },
    "fr": {
        "A message has at most {} characters.": "Un message compte {} caractères au plus.",
        "A request has at most {} bytes.": "Une requête compte {} octets au plus.",
        "An answer is still being written in this conversation.": "Une réponse est encore en cours d’écriture dans cette conversation.",
        "Analyzing request": "Analyse de la demande",
        "Chat": "Chat",
        "Close": "Fermer",
        "Searched the web": "Recherche sur le web terminée",
        "Searching the web": "Recherche sur le web",
        "Something went wrong on our side.": "Un problème est survenu de notre côté.",
        "Something went wrong while answering. Please try again.": "Un problème est survenu pendant la réponse. Veuillez réessayer.",
        "That was a lot in one minute. Please wait a moment.": "C’était beaucoup en une minute. Veuillez patienter un instant.",
        "The database did not answer for a while.": "La base de données n’a pas répondu pendant un moment.",
        "The message is empty.": "Le message est vide.",
        "The model broke off its answer. Please try again.": "Le modèle a interrompu sa réponse. Veuillez réessayer.",
        "The model cannot be reached right now. Please try again in a moment.": "Le modèle est injoignable pour l’instant. Veuillez réessayer dans un moment.",
        "The model could not take this request.": "Le modèle n’a pas pu traiter cette demande.",
        "The model is busy right now. Please try again in a moment.": "Le modèle est occupé. Veuillez réessayer dans un moment.",
        "The model refused this server's credentials. Please tell its operator.": "Le modèle a refusé les identifiants de ce serveur. Veuillez prévenir son exploitant.",
        "The model took too long to answer. Please try again.": "Le modèle a mis trop de temps à répondre. Veuillez réessayer.",
        "This answer was interrupted. Please try again.": "Cette réponse a été interrompue. Veuillez réessayer.",
        "This message is being answered or has been answered already.": "Ce message est en cours de réponse ou a déjà reçu la sienne.",
        "This message is still on its way. Please try again in a moment.": "Ce message est encore en route. Veuillez réessayer dans un moment.",
        "This server has used up its account. Please tell its operator.": "Ce serveur a épuisé son compte. Veuillez prévenir son exploitant.",
        "This server is about to stop. Please try again.": "Ce serveur va s’arrêter. Veuillez réessayer.",
        "This took too many steps. Please ask for something smaller.": "Cela demandait trop d’étapes. Veuillez demander quelque chose de plus petit.",
        "Too much at once. Please try again in a moment.": "Trop à la fois. Veuillez réessayer dans un moment.",
        "You have used up today's allowance. Please come back later.": "Vous avez épuisé votre quota du jour. Revenez plus tard.",
        "You have {} answers being written already. Please wait for one of them.": "{} réponses sont déjà en cours d’écriture pour vous. Veuillez en attendre une.",
    },
    "ja": {
        "A message has at most {} characters.": "メッセージは最大{}文字です。",
        "A request has at most {} bytes.": "リクエストは最大{}バイトです。",
        "An answer is still being written in this conversation.": "この会話では回答がまだ作成中です。",
        "Analyzing request": "リクエストを分析しています",
        "Chat": "チャット",
        "Close": "閉じる",
        "Searched the web": "ウェブを検索しました",
        "Searching the web": "ウェブを検索しています",
        "Something went wrong on our side.": "サーバーで問題が発生しました。",
        "Something went wrong while answering. Please try again.": "回答中に問題が発生しました。もう一度お試しください。",
        "That was a lot in one minute. Please wait a moment.": "1分間の送信数が多すぎます。少しお待ちください。",
        "The database did not answer for a while.": "データベースがしばらく応答しませんでした。",
        "The message is empty.": "メッセージが空です。",
        "The model broke off its answer. Please try again.": "モデルが回答を中断しました。もう一度お試しください。",
        "The model cannot be reached right now. Please try again in a moment.": "現在モデルに接続できません。少し待ってからもう一度お試しください。",
        "The model could not take this request.": "モデルはこのリクエストを処理できませんでした。",
        "The model is busy right now. Please try again in a moment.": "モデルが混み合っています。少し待ってからもう一度お試しください。",
        "The model refused this server's credentials. Please tell its operator.": "モデルがこのサーバーの認証情報を拒否しました。運営者にお知らせください。",
        "The model took too long to answer. Please try again.": "モデルの回答に時間がかかりすぎました。もう一度お試しください。",
        "This answer was interrupted. Please try again.": "この回答は中断されました。もう一度お試しください。",
        "This message is being answered or has been answered already.": "このメッセージは回答中か、すでに回答済みです。",
        "This message is still on its way. Please try again in a moment.": "このメッセージはまだ送信中です。少し待ってからもう一度お試しください。",
        "This server has used up its account. Please tell its operator.": "このサーバーの利用枠がなくなりました。運営者にお知らせください。",
        "This server is about to stop. Please try again.": "このサーバーはまもなく停止します。もう一度お試しください。",
        "This took too many steps. Please ask for something smaller.": "手順が多すぎました。もう少し小さな内容でお試しください。",
        "Too much at once. Please try again in a moment.": "同時に多すぎます。少し待ってからもう一度お試しください。",
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
    for translations in (own or {}, CATALOGUE):
        known = translations.get(language, {})
        if text in known:
            return known[text]
        if (pattern := known.get(_NUMBER.sub("{}", text))) is not None:
            return pattern.format(*_NUMBER.findall(text))
    return text
