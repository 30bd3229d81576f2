"""Where the project keeps what is not committed. Standard library only: setup runs on it."""

import os
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[1]
DATA_DIR = PROJECT_ROOT / ".data"
POSTGRES_DIR = DATA_DIR / "postgres"
VENV = PROJECT_ROOT / ".venv"


def program_of(venv: Path, name: str) -> Path:
    return venv / "Scripts" / f"{name}.exe" if os.name == "nt" else venv / "bin" / name


def python_of(venv: Path) -> Path:
    return program_of(venv, "python")
