"""`cgbench fleet`: one command on many hosts."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import exits, forms, options
from cgbench.cli.terminal import complain, give_json, say
from cgbench.errors import FleetError
from cgbench.host.interrupts import Interrupted
from cgbench.wording import count

if TYPE_CHECKING:
    from cgbench.records.fleet import FleetFolder
    from cgbench.spec.host_list import FleetHost

_PAGE = "report.html"

_Hosts = Annotated[Path, typer.Argument(metavar="HOSTS", help="TOML file of the hosts.")]
_Command = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="COMMAND...", show_default=False,
        help="verify, audit, run or gate, with its options; or clean, or report.",
    ),
]  # fmt: skip


_Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Only hosts with it; repeatable."),
]
_Names = Annotated[
    list[str] | None, typer.Option("--host", metavar="NAME", help="Only this host; repeatable.")
]
_Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Use the workers of this Dask scheduler, not ssh."),
]
_Baseline = Annotated[
    str | None,
    typer.Option(metavar="FLEET", help="Of gate: the fleet whose run is each host's baseline."),
]
_Resume = Annotated[
    str | None, typer.Option(metavar="FLEET", help="Measure only the hosts that FLEET lacks.")
]


def fleet(
    hosts: _Hosts,
    command: _Command = None,
    tag: _Tags = None,
    host: _Names = None,
    scheduler: _Scheduler = None,
    baseline: _Baseline = None,
    resume: _Resume = None,
    json_file: options.JsonFile = None,
    output: options.Output = None,
    no_report: options.NoReport = False,
    quiet: options.Quiet = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Run verify, audit, run or gate on many hosts, and show which is unlike its group.

    Its own options come before HOSTS. Exit status: the worst of its hosts, 2 if one gave nothing.
    """
    forms.require(json_file, page=output)
    from cgbench.spec import host_list

    chosen = host_list.read(hosts).chosen(tag or (), host or ())
    words = tuple(command or ())
    if bool(words) == bool(resume):
        raise FleetError("give either a command or --resume FLEET", "See cgbench fleet --help.")
    if words[:1] != ("report",):
        _require_extra()
    if words[:1] == ("clean",):
        _require_one(words)
        _clean(chosen, words[1:], scheduler, results)
        return
    if words[:1] == ("report",):
        _require_one(words)
        _finish(_found(words[1] if words[1:] else "fleet", results), json_file, output, page=True)
        return
    from cgbench.commands import fleet as fleets

    if resume is not None:
        folder = _found(resume, results)
        wanted = fleets.resumed(folder, chosen, scheduler)
    else:
        wanted = fleets.wanted(chosen, words[0], words[1:], scheduler)
        if (words[0] == "gate") != (baseline is not None):
            raise FleetError(
                "gate, and no other command, is judged against a --baseline",
                "Name a fleet that ran the experiment: --baseline fleet for the latest.",
            )
        if baseline is not None:
            wanted = fleets.with_baselines(wanted, _found(baseline, results))
        folder = fleets.begun(wanted, results)
    try:
        fleets.measure(folder, wanted, (lambda _host, _line: None) if quiet else _show)
    except Interrupted:
        complain(f"finished hosts are kept; go on with: cgbench fleet {hosts} "
                 f"--resume {folder.path.name}")  # fmt: skip
        raise
    _finish(folder, json_file, output, page=not no_report)


def _require_extra() -> None:
    """Raise FleetError unless what reaches hosts is installed."""
    try:
        importlib.import_module("cgbench.fleet.crew")
    except ImportError as error:
        raise FleetError(
            f"{error.name} is not installed", "Install it: pip install 'cgbench[fleet]'."
        ) from None


def _show(host: str, line: str) -> None:
    complain(f"{host}: {line}")


def _found(name: str, results: Path) -> FleetFolder:
    from cgbench.records import fleet as records

    return records.find(name, results)


def _require_one(words: tuple[str, ...]) -> None:
    if len(words) > 2:
        raise FleetError(f"{words[0]} takes one fleet", "Name it, or none for the latest.")


def _clean(
    chosen: tuple[FleetHost, ...], names: tuple[str, ...], scheduler: str | None, results: Path
) -> None:
    from cgbench.commands import fleet as fleets

    folder = _found(names[0] if names else "fleet", results)
    found = fleets.clean(chosen, folder, _show, scheduler)
    left = {name: why for name, why in found.items() if why is not None}
    for name, why in left.items():
        complain(f"{name}: not clean: {why}")
    say(f"clean: {len(found) - len(left)} of {count(len(found), 'host')}")
    if left:
        exits.end(exits.ERROR)


def _finish(
    folder: FleetFolder, json_file: Path | None, output: Path | None, *, page: bool
) -> None:
    """Judge, show and keep what the hosts gave, and end with the status of the worst of them."""
    from cgbench.commands import fleet_report as reports
    from cgbench.reporting.words import fleet as words

    found = reports.judged(folder)
    printed = give_json(found.to_json, json_file)
    if page:
        output = reports.write_page(found, output or folder.path / _PAGE)
    if not printed:
        for line in words.lines(found.record, found.standing):
            say(line)
        say(f"{words.headline(found.record, found.standing)}")
        endings = words.endings(found.record)
        if endings is not None:
            say(endings)
        say(f"fleet: {folder.path}")
        if page:
            say(f"report: {output}")
    if found.worst:
        exits.end(found.worst)
