"""What is said about forms, in the other languages; see `engine/text/locales.py`."""

from engine.text.locales import Translations

TRANSLATIONS: Translations = {
    "de": {
        "A form has at most {} bytes.": "Ein Formular hat höchstens {} Bytes.",
        "This form was open for too long, or is not ours. Please try again.": "Dieses Formular war zu lange offen oder ist nicht von uns. Bitte versuchen Sie es noch einmal.",
        "This is not a form.": "Das ist kein Formular.",
    },
    "es": {
        "A form has at most {} bytes.": "Un formulario tiene como máximo {} bytes.",
        "This form was open for too long, or is not ours. Please try again.": "Este formulario ha estado abierto demasiado tiempo, o no es nuestro. Inténtelo de nuevo.",
        "This is not a form.": "Esto no es un formulario.",
    },
    "fr": {
        "A form has at most {} bytes.": "Un formulaire compte {} octets au plus.",
        "This form was open for too long, or is not ours. Please try again.": "Ce formulaire est resté ouvert trop longtemps, ou n’est pas le nôtre. Veuillez réessayer.",
        "This is not a form.": "Ce n’est pas un formulaire.",
    },
    "ja": {
        "A form has at most {} bytes.": "フォームは最大{}バイトです。",
        "This form was open for too long, or is not ours. Please try again.": "フォームの有効期限が切れたか、このサイトのものではありません。もう一度お試しください。",
        "This is not a form.": "これはフォームではありません。",
    },
}
