"""Compares the time of `make demo SERVE=0`, with warm caches, with its unavoidable parts.

The unavoidable parts are timed separately in the same run and file system: the environment from the
lock, the first start of PostgreSQL, and two imports of the SDKs in fresh processes. The times are
medians of `ROUNDS` rounds. Exits with a non-zero status if the demo takes more than `LIMIT` times as
long.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.stage import BUILT, REPO

LIMIT = 1.5
ROUNDS = 3

POSTGRES = """
import sys
from pathlib import Path
from dev.postgres import Postgres
getattr(Postgres(Path(sys.argv[1])), sys.argv[2])()
"""


def main() -> None:
    demo = ["make", "demo", "SERVE=0"]
    seconds(demo, REPO)  # warms the caches, and creates a project with its lock
    floors: list[dict[str, float]] = []
    wholes: list[float] = []
    # Alternately, so that changes of the machine's speed affect both.
    for _ in range(ROUNDS):
        [project] = (path for path in (BUILT / "demo").iterdir() if path.is_dir())
        with tempfile.TemporaryDirectory(dir=BUILT) as folder:
            floors.append(unavoidable(project, Path(folder)))
        wholes.append(seconds(demo, REPO))

    for name in floors[0]:
        print(f"{median(floor[name] for floor in floors):6.1f} s  {name}")
    totals = [sum(floor.values()) for floor in floors]
    ratios = [whole / total for whole, total in zip(wholes, totals, strict=True)]
    print(f"{median(totals):6.1f} s  the unavoidable parts")
    print(f"{median(wholes):6.1f} s  make demo SERVE=0")
    print(
        f"{median(ratios):6.2f}    times the unavoidable ({min(ratios):.2f} to {max(ratios):.2f}); "
        f"at most {LIMIT}"
    )
    sys.exit(0 if median(ratios) <= LIMIT else 1)


def unavoidable(project: Path, folder: Path) -> dict[str, float]:
    """Seconds for each part, executed in the empty `folder` as setup does it for `project`."""
    for name in ("pyproject.toml", "uv.lock"):
        (folder / name).write_bytes((project / name).read_bytes())
    python = str(folder / ".venv" / "bin" / "python")
    data = str(folder / ".data" / "postgres")
    imports = [python, "-c", "import agents, chatkit.server"]
    try:
        return {
            "environment from the lock": seconds(
                [os.environ["UV"], "sync", "--frozen", "--quiet", "--python", sys.executable],
                folder,
            ),
            "first start of PostgreSQL": seconds([python, "-c", POSTGRES, data, "start"], project),
            "importing the SDKs": seconds(imports, folder),
            "importing the SDKs again": seconds(imports, folder),
        }
    finally:
        seconds([python, "-c", POSTGRES, data, "stop"], project)


def seconds(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
