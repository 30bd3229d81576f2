"""The finding of `python -m app doctor` about the pictures that people attach."""

from dev.doctor import Finding
from engine.attachments.service import FileAttachments

NAME = "pictures"


def check() -> Finding:
    return Finding("ok", FileAttachments.note())
