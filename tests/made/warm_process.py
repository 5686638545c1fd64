"""A process that has imported all of cgbench and forks once per command: `python -m`, started once.

It reads one command a line from stdin, as JSON, and answers with its exit status. A command is a
process of its own, with its own arguments, environment, directory, files and exit status; only the
half second that its imports take is spared. It ends when its stdin does.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import runpy
import sys
import traceback
from typing import TypedDict

import cgbench


class Command(TypedDict):
    """What to run: as it is typed, as whom, and the files that take what it prints."""

    arguments: list[str]
    environment: dict[str, str]
    directory: str
    stdout: str
    stderr: str
    without_root: bool


def import_everything() -> None:
    """Import every module there is, and with them every library."""
    for module in pkgutil.walk_packages(cgbench.__path__, "cgbench."):
        if module.name != "cgbench.__main__":
            importlib.import_module(module.name)


def become(command: Command) -> int:
    """Run the command in this process, as `python -m cgbench` does; return its exit status."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, command["stdout"]), (2, command["stderr"])):
        os.dup2(os.open(name, os.O_WRONLY), number)
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["directory"])
    sys.argv = ["cgbench", *command["arguments"]]
    try:
        if command["without_root"]:
            _without_root()
        else:
            runpy.run_module("cgbench", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001 (what the interpreter itself would do)
        traceback.print_exc()
        return 1
    return 0


def _without_root() -> None:
    """Run the command as a user without rights, who may not even read the package."""
    from cgbench.cli import app
    from cgbench.spec import experiment_file

    experiment_file.load("cpu-quota-sweep")
    os.seteuid(65534)
    app.main()


def serve() -> None:
    """Run commands until stdin ends."""
    import_everything()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = become(json.loads(line))
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        _child, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    serve()
