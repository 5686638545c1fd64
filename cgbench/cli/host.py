"""`cgbench doctor` and `clean`: what this host offers, and left clean."""

from __future__ import annotations

from typing import Annotated

import typer

from cgbench.cli import exits, forms, options
from cgbench.cli.terminal import complain, give_json, say
from cgbench.wording import count


def doctor(json_file: options.JsonFile = None) -> None:
    """Show what this host offers, what it lacks, how noisy it is, and what to do about it.

    Exit status 4 if cpu-quota-sweep cannot run here.
    """
    from cgbench.commands.doctor import examine

    forms.require(json_file)
    examination = examine()
    if not give_json(examination.to_json, json_file, indent=2):
        say(examination.to_text())
    if not examination.able:
        exits.end(exits.UNMET)


def clean(
    force: Annotated[
        bool, typer.Option("--force", help="Also remove what a cgbench that still runs started.")
    ] = False,
) -> None:
    """Remove every container, file, device, swap and cgroup that a killed cgbench left behind.

    Results stay. What carries cgbench's name but not its mark is named and left alone. Exit status
    2 if something could not be removed: each such thing is named.
    """
    from cgbench.commands import clean as cleaning

    removed = cleaning.clean(force=force)
    networks = f"{count(removed.networks, 'network')}, " if removed.networks else ""
    say(
        f"removed {count(removed.containers, 'container')}, {networks}"
        f"{count(removed.directories, 'scratch directory', 'scratch directories')}, "
        f"and {removed.lent} scratch devices, swaps or cgroups"
    )
    for line in removed.left_alone:
        say(f"left alone: {line}")
    for one in removed.kept:
        complain(str(one))
    if removed.kept:
        exits.end(exits.ERROR)
