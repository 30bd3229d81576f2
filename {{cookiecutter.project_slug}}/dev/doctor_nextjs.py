"""What `python -m app doctor` says of the Next.js page."""

import json

from dev.doctor import Finding
from dev.nextjs import FOLDER, NotReady, node_program

NAME = "Next.js page"


def check() -> Finding:
    try:
        node = node_program()
    except NotReady as problem:
        return Finding("warn", f"{problem}. The plain page works without")
    package = FOLDER / "node_modules" / "next" / "package.json"
    if not package.exists():
        return Finding("warn", "its packages are missing. Run: cd nextjs && npm ci")
    version = json.loads(package.read_text(encoding="utf-8"))["version"]
    return Finding("ok", f"Next.js {version}, with {node}")
