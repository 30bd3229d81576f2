"""Translations of the messages about files; see `engine/text/locales.py`."""

from engine.text.locales import Translations

TRANSLATIONS: Translations = {
    "de": {
        "A file has at most {} bytes.": "Eine Datei hat höchstens {} Bytes.",
        "A message carries a file once.": "Eine Nachricht enthält jede Datei nur einmal.",
        "A message has at most {} files.": "Eine Nachricht hat höchstens {} Dateien.",
        "Files cannot be stored or read right now.": "Dateien können gerade weder gespeichert noch gelesen werden.",
        "Files of this kind are not taken. Possible are: {}": "Dateien dieser Art werden nicht angenommen. Möglich sind: {}",
        "The file is empty.": "Die Datei ist leer.",
        "This file belongs to a message that was sent.": "Diese Datei gehört zu einer gesendeten Nachricht.",
        "This is no picture.": "Das ist kein Bild.",
        "Too many files wait to be sent.": "Zu viele Dateien warten darauf, gesendet zu werden.",
        "Your files take up all the room that you have. Delete some chats.": "Ihre Dateien belegen Ihren ganzen Platz. Löschen Sie einige Unterhaltungen.",
    },
    "es": {
        "A file has at most {} bytes.": "Un archivo tiene como máximo {} bytes.",
        "A message carries a file once.": "Un mensaje lleva cada archivo una sola vez.",
        "A message has at most {} files.": "Un mensaje tiene como máximo {} archivos.",
        "Files cannot be stored or read right now.": "Ahora no se pueden guardar ni leer archivos.",
        "Files of this kind are not taken. Possible are: {}": "No se aceptan archivos de este tipo. Se admiten: {}",
        "The file is empty.": "El archivo está vacío.",
        "This file belongs to a message that was sent.": "Este archivo pertenece a un mensaje enviado.",
        "This is no picture.": "Esto no es una imagen.",
        "Too many files wait to be sent.": "Demasiados archivos esperan a ser enviados.",
        "Your files take up all the room that you have. Delete some chats.": "Sus archivos ocupan todo su espacio. Borre algunas conversaciones.",
    },
    "fr": {
        "A file has at most {} bytes.": "Un fichier compte {} octets au plus.",
        "A message carries a file once.": "Un message ne contient un fichier qu’une fois.",
        "A message has at most {} files.": "Un message compte {} fichiers au plus.",
        "Files cannot be stored or read right now.": "Les fichiers ne peuvent être ni enregistrés ni lus pour l’instant.",
        "Files of this kind are not taken. Possible are: {}": "Les fichiers de ce type ne sont pas acceptés. Sont possibles : {}",
        "The file is empty.": "Le fichier est vide.",
        "This file belongs to a message that was sent.": "Ce fichier appartient à un message envoyé.",
        "This is no picture.": "Ce n’est pas une image.",
        "Too many files wait to be sent.": "Trop de fichiers attendent d’être envoyés.",
        "Your files take up all the room that you have. Delete some chats.": "Vos fichiers occupent toute votre place. Supprimez quelques conversations.",
    },
    "ja": {
        "A file has at most {} bytes.": "ファイルは最大{}バイトです。",
        "A message carries a file once.": "同じファイルは1つのメッセージに1回だけ添付できます。",
        "A message has at most {} files.": "メッセージに添付できるファイルは最大{}個です。",
        "Files cannot be stored or read right now.": "現在ファイルの保存や読み込みができません。",
        "Files of this kind are not taken. Possible are: {}": "この種類のファイルは使えません。使えるもの: {}",
        "The file is empty.": "ファイルが空です。",
        "This file belongs to a message that was sent.": "このファイルは送信済みのメッセージのものです。",
        "This is no picture.": "これは画像ではありません。",
        "Too many files wait to be sent.": "送信待ちのファイルが多すぎます。",
        "Your files take up all the room that you have. Delete some chats.": "ファイルの保存領域がいっぱいです。会話をいくつか削除してください。",
    },
}
