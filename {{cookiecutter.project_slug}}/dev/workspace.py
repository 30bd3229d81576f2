"""uv workspaces around the project. Standard library only."""

import tomllib
from pathlib import Path
from typing import Any

from dev.steps import StepFailed


def check_workspace(project: Path) -> None:
    """Raise `StepFailed` where the project is a member of somebody's workspace.

    Its packages would be locked in the workspace's uv.lock, among all others'.
    """
    if _workspace(project) is not None:
        return
    for folder in project.parents:
        found = _tables(folder / "pyproject.toml")
        workspace = _workspace(folder)
        if workspace is not None and _is_member(project, folder, workspace):
            own = project.relative_to(folder).as_posix()
            excluded = ", ".join(f'"{name}"' for name in [*workspace.get("exclude", ()), own])
            raise StepFailed(
                f"{folder / 'pyproject.toml'} makes this folder a member of its uv workspace, whose "
                "uv.lock setup would change. Put into its [tool.uv.workspace]: "
                f"exclude = [{excluded}]"
            )
        if workspace is not None or "project" in found:
            return  # uv looks no further


def _workspace(folder: Path) -> dict[str, Any] | None:
    uv = _tables(folder / "pyproject.toml").get("tool", {}).get("uv", {})
    workspace: dict[str, Any] | None = uv.get("workspace")
    return workspace


def _tables(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _is_member(project: Path, folder: Path, workspace: dict[str, Any]) -> bool:
    members, excluded = (
        {
            path.resolve()
            for pattern in workspace.get(key, ())
            for path in folder.glob(pattern.rstrip("/"))
        }
        for key in ("members", "exclude")
    )
    return project in members - excluded
