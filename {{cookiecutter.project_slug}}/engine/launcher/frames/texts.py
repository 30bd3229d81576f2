"""What the last page of a sign-in window says, in the other languages; see `engine/text/locales.py`."""

from engine.text.locales import Translations

TRANSLATIONS: Translations = {
    "de": {
        "Or chat here": "Oder hier chatten",
        "You are signed in": "Sie sind angemeldet",
        "You can close this window and go on in the chat.": "Sie können dieses Fenster schließen und im Chat weitermachen.",
    },
    "es": {
        "Or chat here": "O chatear aquí",
        "You are signed in": "Ha iniciado sesión",
        "You can close this window and go on in the chat.": "Puede cerrar esta ventana y seguir en el chat.",
    },
    "fr": {
        "Or chat here": "Ou discuter ici",
        "You are signed in": "Vous êtes connecté",
        "You can close this window and go on in the chat.": "Vous pouvez fermer cette fenêtre et continuer dans le chat.",
    },
    "ja": {
        "Or chat here": "ここでチャットする",
        "You are signed in": "サインインしました",
        "You can close this window and go on in the chat.": "このウィンドウを閉じて、チャットを続けられます。",
    },
}
