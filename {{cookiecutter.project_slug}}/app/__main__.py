"""The project's commands: `python3 -m app --help`."""

import importlib.util
import runpy
import sys

if __name__ == "__main__":
    if importlib.util.find_spec("dev"):  # the image has no `dev`
        runpy.run_module("dev", run_name="__main__", alter_sys=True)
    else:
        from engine.operate.cli import main

        sys.exit(main("app"))
