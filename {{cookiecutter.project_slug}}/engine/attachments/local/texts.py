"""Translations of the messages about uploads to this server; see `engine/text/locales.py`."""

from engine.text.locales import Translations

TRANSLATIONS: Translations = {
    "de": {
        "Too many files are being uploaded.": "Zu viele Dateien werden gerade hochgeladen.",
    },
    "es": {
        "Too many files are being uploaded.": "Se están subiendo demasiados archivos.",
    },
    "fr": {
        "Too many files are being uploaded.": "Trop de fichiers sont en cours d’envoi.",
    },
    "ja": {
        "Too many files are being uploaded.": "アップロード中のファイルが多すぎます。",
    },
}
