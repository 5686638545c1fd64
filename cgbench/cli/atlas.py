"""`cgbench atlas`: what each limit does on the hosts that were measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import exits, options
from cgbench.cli.terminal import complain, give_json, say
from cgbench.errors import CgbenchError, OptionError
from cgbench.wording import count

if TYPE_CHECKING:
    from cgbench.commands.atlas import Atlas
    from cgbench.records.truth import TruthTable

_Rows = Annotated[
    Path | None,
    typer.Option("--rows", metavar="DIR", help="Directory of rows; default: atlas in --results."),
]
_With = Annotated[
    list[str] | None,
    typer.Option(
        "--with", metavar="TABLE",
        help="Also show this truth table; repeatable. Without: the latest among the results.",
    ),
]  # fmt: skip
_Add = Annotated[
    str | None,
    typer.Option(
        "--add", metavar="TABLE", help="Make a row of this truth table, or anew of a row."
    ),
]
_Name = Annotated[str | None, typer.Option(metavar="NAME", help="Name of the row to add.")]
_Title = Annotated[str | None, typer.Option(metavar="TITLE", help="Title of the row to add.")]
_Packages = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Packages of its host, as `dpkg-query -W` prints them."),
]


def atlas(
    rows: _Rows = None,
    with_: _With = None,
    rows_only: Annotated[
        bool, typer.Option("--rows-only", help="Show no truth table beside the rows.")
    ] = False,
    output: options.Output = None,
    json_file: options.JsonFile = None,
    add: _Add = None,
    name: _Name = None,
    title: _Title = None,
    packages: _Packages = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over the row of another host.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write no page; look whether every row is good.")
    ] = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Write a page of what each limit does on all hosts that were measured, yours beside them.

    A TABLE is what `cgbench verify` left: truth.json, its directory, or its name; your latest is
    shown unasked. Without rows among the results, those that came with cgbench are taken. --check
    ends with 2 if a row is bad.
    """
    _require_one_task(
        add=add, check=check, shown=bool(with_ or rows_only or output or json_file),
        of_add={"--name": name, "--title": title, "--packages": packages, "--replace": replace},
    )  # fmt: skip
    if add is not None:
        _add(add, rows, name, title, packages, replace=replace, results=results)
        return
    from cgbench.commands import atlas as making

    found = making.gathered(making.directory_of(rows, results))
    if check:
        _check(found)
        return
    if rows_only and with_:
        raise OptionError("--rows-only leaves out what --with names", "Give one of the two.")
    beside = making.hosts(with_ or (), results)
    own = None if rows_only or with_ else making.latest(results)
    if own is not None:
        beside, own = _own(own, results)
    for one in found.left_out:
        complain(f"{one.path}: left out: {one.reason}")
    printed = give_json(found.to_json, json_file)
    if printed and output is None:
        return
    page = making.write_page(found, beside, output, results)
    if not printed:
        say(f"rows: {len(found.rows)} of {found.directory}{_of_other_rules(found)}")
        if own is not None:
            say(f"your host: {own}")
        say(f"page: {page}")


def _own(path: Path, results: Path) -> tuple[list[TruthTable], Path | None]:
    """Return the reader's own truth table and its path; a damaged one is said and left out."""
    from cgbench.commands import atlas as making

    try:
        return making.hosts([str(path)], results), path
    except CgbenchError as error:
        # Nobody asked for it.
        complain(f"left out: {error.message}")
        return [], None


def _require_one_task(
    *, add: str | None, check: bool, shown: bool, of_add: dict[str, object]
) -> None:
    """Raise OptionError where options of two tasks are given."""
    if add is None and (given := [option for option, value in of_add.items() if value]):
        raise OptionError(f"{given[0]} is of a row to add", "Give --add TABLE with it.")
    if add is not None and (check or shown):
        raise OptionError("--add writes a row, and no page", "Write the page in a call of its own.")
    if check and shown:
        raise OptionError("--check writes no page", "Write the page in a call of its own.")


def _add(
    table: str, rows: Path | None, name: str | None, title: str | None, packages: Path | None,
    *, replace: bool, results: Path,
) -> None:  # fmt: skip
    if name is None:
        raise OptionError("--add needs the row's --name", "For example: --name trixie-runc143")
    from cgbench.commands import atlas as making
    from cgbench.records.atlas import FOLDER

    wanted = making.Addition(name, title, packages, replace=replace)
    path = making.add(table, wanted, rows or results / FOLDER, results)
    say(f"row: {path}")


def _check(found: Atlas) -> None:
    for one in found.left_out:
        complain(f"{one.path}: {one.reason}")
    for name in found.other_rules:
        complain(f"{found.directory / name}.json: judged by other rules than today's")
    good = len(found.rows) - len(found.other_rules)
    say(f"{count(good, 'good row')} of {good + len(found.left_out) + len(found.other_rules)} "
        f"in {found.directory}")  # fmt: skip
    if found.left_out or found.other_rules:
        exits.end(exits.ERROR)


def _of_other_rules(found: Atlas) -> str:
    if not found.other_rules:
        return ""
    return f"; {', '.join(found.other_rules)}: judged by other rules than today's"
