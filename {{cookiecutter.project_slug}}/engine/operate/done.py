"""Printed when setup is done: the answers that the project was made from, and whom it lets in."""

import importlib
import os

from engine.auth.base import SignIn
from engine.database.database import Database
from engine.settings.settings import Settings

# The table of answers, which the template's hook sets for the setup that it starts.
ANSWERS = "CHATKIT_ANSWERS"


def report(application: str, settings: Settings, url: str) -> str:
    """`application` is the owner's package."""
    sign_in: SignIn = importlib.import_module(f"{application}.auth").sign_in
    style = sign_in(settings, Database.from_settings(settings, url))
    chosen = os.environ.get(ANSWERS, "")
    lines = ["", "Done.", *chosen.splitlines(), f"It lets in {style.lets_in}."]
    return "\n".join(lines)
