"""Asks a question at the terminal."""


def is_sure(question: str) -> bool:
    """True for a yes; false for any other answer, and without a terminal."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
