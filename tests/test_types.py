"""Types hold in the template as it stands; each whole project checks what came out of it."""

import shutil
from pathlib import Path

from conftest import REPO, TEMPLATE, check


def test_the_template_is_typed(template: Path, tmp_path: Path) -> None:
    unrendered = shutil.copytree(template / TEMPLATE.name, tmp_path / "unrendered")

    check("mypy", "--cache-dir", str(REPO / ".mypy_cache" / "template"), cwd=unrendered)
