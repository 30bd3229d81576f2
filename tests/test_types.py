"""The template is typed before rendering; each complete project is checked as well."""

import shutil
from pathlib import Path

from conftest import TEMPLATE, cache_of_types, check


def test_the_template_is_typed(template: Path, tmp_path: Path) -> None:
    unrendered = shutil.copytree(template / TEMPLATE.name, tmp_path / "unrendered")

    with cache_of_types() as cache:
        check("mypy", "--cache-dir", str(cache), cwd=unrendered)
