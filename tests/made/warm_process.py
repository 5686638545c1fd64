"""A process that has loaded all that cgbench loads and forks once per command.

It reads one command a line from stdin, as JSON, and answers with its exit status. A command is a
process of its own, as of `python -m cgbench`, with its own arguments, environment, directory, files
and exit status; only what it would import and the experiments that come along, which it would
parse, are there already. It ends when its stdin does.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import sys
import traceback
from typing import IO, TypedDict

import cgbench
from cgbench.judging import change_points

LATER = ("plotly.offline", "pyarrow.compute", "pyarrow.parquet", "scipy.special")
"""What cgbench imports where it is needed."""


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
    for name in LATER:
        importlib.import_module(name)


def load_everything() -> None:
    """Import, parse and build what commands need, none of which depends on how they are called."""
    from cgbench.cli import app
    from cgbench.reporting.markup import environment
    from cgbench.spec import experiment_file

    import_everything()
    for name in experiment_file.builtin_names():
        experiment_file.load(name)
    for name in environment().list_templates():
        environment().get_template(name)
    with contextlib.redirect_stdout(io.StringIO()):
        # Typer imports what it prints help by, and reads values by, as late as it can.
        for arguments in (["--help"], ["show", "cpu-quota-sweep"]):
            app.command()(arguments, standalone_mode=False)
    # No child looks for garbage in what it shares with all others.
    gc.freeze()


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


def answer(asked: IO[str], answers: IO[str]) -> None:
    """Run the commands that are asked for until no more can be."""
    for line in asked:
        command: Command = json.loads(line)
        if "history" in command["arguments"]:
            # A second of imports that only this command needs.
            change_points.require()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = become(command)
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        _child, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), file=answers, flush=True)


if __name__ == "__main__":
    load_everything()
    answer(sys.stdin, sys.stdout)
