"""Removes the thoughts that some models write into their text: `<think>…</think>`.

A thought is at the beginning of a text. The same tag further on is text, for example in an answer
about such models.
"""

import re

_NAMES = ("think", "thinking", "thought")
_CLOSING = {f"<{name}>": f"</{name}>" for name in _NAMES}
_TAGS = (*_CLOSING, *_CLOSING.values())

OPENING_TAG = re.compile(rf"<(?:{'|'.join(_NAMES)})>")
CLOSING_TAG = re.compile(rf"</(?:{'|'.join(_NAMES)})>")

# Servers whose prompt ends with the opening tag send the closing one alone, on a line of its own.
_END_OF_UNOPENED = re.compile(rf"^[ \t]*</({'|'.join(_NAMES)})>[ \t]*$", re.MULTILINE)


class ThoughtFilter:
    """Passes on a text that arrives in deltas, without its thoughts.

    A tag may be split between deltas: the few characters that may begin one are held back until
    that is decided. A thought whose opening tag is missing passes, because nothing tells it from
    text before it ends; `without_thoughts` removes it from the whole text.
    """

    def __init__(self) -> None:
        self._held = ""
        self._closing: str | None = None
        self._after_thought = False
        self._in_text = False

    @property
    def is_thinking(self) -> bool:
        """True within a thought, until its closing tag arrives."""
        return self._closing is not None

    def feed(self, delta: str) -> str:
        """Return what becomes visible; empty within a thought."""
        if self._in_text:
            return delta
        self._held += delta
        while self._take_tag():
            pass
        if self.is_thinking or any(tag.startswith(self._held.lstrip()) for tag in _TAGS):
            return ""
        self._in_text = True
        return self.finish()

    def finish(self) -> str:
        """Return what was held back. A thought that was never closed is not visible."""
        held, self._held = self._held, ""
        if self.is_thinking:
            return ""
        return held.lstrip() if self._after_thought else held

    def _take_tag(self) -> bool:
        """Drop what is held up to the end of the next tag; false when there is none yet."""
        if self._closing is not None:
            _, closed, rest = self._held.partition(self._closing)
            # Without its end, the last characters are kept: they may be the tag's beginning.
            self._held = rest if closed else self._held[1 - len(self._closing) :]
            if closed:
                self._closing = None
            return bool(closed)
        start = self._held.lstrip()
        tag = next((tag for tag in _TAGS if start.startswith(tag)), None)
        if tag is None:
            return False
        self._held = start[len(tag) :]
        self._closing = _CLOSING.get(tag)
        self._after_thought = True
        return True


def without_thoughts(text: str) -> str:
    """A whole text without its thoughts, also without one whose opening tag is missing."""
    thoughts = ThoughtFilter()
    visible = thoughts.feed(text) + thoughts.finish()
    end = _END_OF_UNOPENED.search(visible)
    if end is None or f"<{end[1]}>" in visible[: end.start()]:
        return visible
    return visible[end.end() :].lstrip()
