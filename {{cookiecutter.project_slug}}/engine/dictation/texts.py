"""Translations of the messages about dictation; see `engine/text/locales.py`."""

from engine.text.locales import Translations

TRANSLATIONS: Translations = {
    "de": {
        "A dictation has at most {} bytes.": "Ein Diktat hat höchstens {} Bytes.",
        "A dictation takes at most {} seconds.": "Ein Diktat dauert höchstens {} Sekunden.",
        "Nobody could listen right now. Please try again.": "Gerade konnte niemand zuhören. Bitte versuchen Sie es noch einmal.",
        "The demo model does not listen: dictation needs OPENAI_API_KEY.": "Das Demomodell hört nicht zu: Diktieren braucht OPENAI_API_KEY.",
        "There is nothing to hear.": "Es ist nichts zu hören.",
        "This is no audio that can be listened to.": "Das ist kein Ton, den man anhören kann.",
    },
    "es": {
        "A dictation has at most {} bytes.": "Un dictado tiene como máximo {} bytes.",
        "A dictation takes at most {} seconds.": "Un dictado dura como máximo {} segundos.",
        "Nobody could listen right now. Please try again.": "Ahora nadie ha podido escuchar. Inténtelo de nuevo.",
        "The demo model does not listen: dictation needs OPENAI_API_KEY.": "El modelo de demostración no escucha: el dictado necesita OPENAI_API_KEY.",
        "There is nothing to hear.": "No se oye nada.",
        "This is no audio that can be listened to.": "Este audio no se puede escuchar.",
    },
    "fr": {
        "A dictation has at most {} bytes.": "Une dictée compte {} octets au plus.",
        "A dictation takes at most {} seconds.": "Une dictée dure {} secondes au plus.",
        "Nobody could listen right now. Please try again.": "Personne n’a pu écouter pour l’instant. Veuillez réessayer.",
        "The demo model does not listen: dictation needs OPENAI_API_KEY.": "Le modèle de démonstration n’écoute pas : la dictée a besoin de OPENAI_API_KEY.",
        "There is nothing to hear.": "Il n’y a rien à entendre.",
        "This is no audio that can be listened to.": "Cet audio ne peut pas être écouté.",
    },
    "ja": {
        "A dictation has at most {} bytes.": "音声入力は最大{}バイトです。",
        "A dictation takes at most {} seconds.": "音声入力は最長{}秒です。",
        "Nobody could listen right now. Please try again.": "現在音声を聞き取れません。もう一度お試しください。",
        "The demo model does not listen: dictation needs OPENAI_API_KEY.": "デモモデルは音声を聞き取れません。音声入力には OPENAI_API_KEY が必要です。",
        "There is nothing to hear.": "音声が入っていません。",
        "This is no audio that can be listened to.": "再生できる音声ではありません。",
    },
}
