"""The Next.js page beside `python3 -m app dev`. Without Node.js there is the plain page alone."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from dev.paths import PROJECT_ROOT
from engine.operate.port import address, free_port
from engine.settings.finding import Finding

NAME = "Next.js page"
FOLDER = PROJECT_ROOT / "nextjs"
NODE = (20, 9)
FIRST_PORT = 3000
STOP_SECONDS = 10


class NotReady(Exception):
    """Why the page cannot be served, and what to do about it."""


@contextmanager
def beside(host: str, port: int) -> Iterator[None]:
    """Serve the page while the application is served at `host:port`; it comes when it is ready."""
    try:
        node = node_program()
        install()
        if (page_port := free_port(host, FIRST_PORT)) is None:
            raise NotReady(f"no port from {FIRST_PORT} on is free")
    except NotReady as problem:
        print(f"The Next.js page is not served: {problem}.", flush=True)
        yield
        return
    url = address(host, page_port)
    print(f"The Next.js page is at {url}", flush=True)
    process = subprocess.Popen(
        [node, "node_modules/next/dist/bin/next", "dev", "-H", host, "-p", str(page_port)],
        cwd=FOLDER,
        env=os.environ | {"BACKEND_URL": address(host, port), "NEXT_TELEMETRY_DISABLED": "1"},
        stdin=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def node_program() -> str:
    wanted = f"it needs Node.js {NODE[0]}.{NODE[1]} or newer"
    if (node := shutil.which("node")) is None:
        raise NotReady(f"{wanted}, and there is no node on the PATH")
    said = subprocess.run([node, "--version"], capture_output=True, encoding="utf-8", check=False)
    version = re.match(r"v(\d+)\.(\d+)", said.stdout)
    if version is None or (int(version[1]), int(version[2])) < NODE:
        raise NotReady(f"{wanted}, and {node} is {said.stdout.strip() or 'broken'}")
    return node


def install() -> None:
    """Fetch its packages, once: the versions and the very files that package-lock.json names."""
    if (FOLDER / "node_modules" / "next").exists():
        return
    if (npm := shutil.which("npm")) is None:
        raise NotReady("its packages are missing, and there is no npm on the PATH")
    print("Fetching the packages of the Next.js page, this once …", flush=True)
    done = subprocess.run([npm, "ci"], cwd=FOLDER, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise NotReady("its packages could not be fetched. To try again: cd nextjs && npm ci")


def check() -> Finding:
    """For the doctor."""
    try:
        node = node_program()
    except NotReady as problem:
        return Finding("warn", f"{problem}. The plain page works without")
    package = FOLDER / "node_modules" / "next" / "package.json"
    if not package.exists():
        return Finding("warn", "its packages are missing. Run: cd nextjs && npm ci")
    version = json.loads(package.read_text(encoding="utf-8"))["version"]
    return Finding("ok", f"Next.js {version}, with {node}")
