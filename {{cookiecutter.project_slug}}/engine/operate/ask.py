"""Asks whoever is at the terminal."""


def is_sure(question: str) -> bool:
    """True for a yes; where nobody can answer, it is a no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
