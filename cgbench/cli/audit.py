"""`cgbench audit`: the limits of containers that others started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import exits, forms, options
from cgbench.cli.terminal import PRINTED, give_json, say

if TYPE_CHECKING:
    from cgbench.engine.connection import Connection
    from cgbench.records.audit import Audit
    from cgbench.records.elsewhere import Elsewhere
    from cgbench.spec.option import Settings

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CONTAINER]...", help="Names or identities; without: all that run."),
]


def audit(
    containers: Names = None,
    label: options.Labels = None,
    project: options.Project = None,
    all_: Annotated[bool, typer.Option("--all", help="Also list those that do not run.")] = False,
    over: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Also measure use for so long, as 10s.")
    ] = "0s",
    expect: Annotated[
        str | None,
        typer.Option("--expect", metavar="LIMITS", help="Fail unless 'cpus<=1 memory<=512m'."),
    ] = None,
    compose: Annotated[
        Path | None,
        typer.Option("--compose", metavar="FILE", help="Also compare with what it declares."),
    ] = None,
    atlas: Annotated[
        bool, typer.Option("--atlas", help="Also say what failed on a measured host like this.")
    ] = False,
    json_file: options.JsonFile = None,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    output: options.Output = None,
    only: Annotated[
        options.Rows | None,
        typer.Option("--only", metavar="failing", help="Print only the findings."),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Show which limits of running containers are in force, which level binds, and who feels it.

    Nothing is started or changed. Exit status 1 if a limit is not what it says.
    """
    forms.require(json_file, junit, markdown, output)
    judged = _as_it_is if expect is None else _expecting(expect)
    composed = {} if compose is None else _composed(compose)
    asked = _asked(stopped=all_ or bool(containers))
    # Only here: the daemon answers while all this is loaded.
    from cgbench.commands import audit as auditing
    from cgbench.commands.chosen import Wanted
    from cgbench.engine.engine import Engine

    wanted = Wanted(containers or (), label or (), project, stopped=all_)
    engine = Engine(connection=asked)
    try:
        found = auditing.audit(wanted, engine, options.seconds(over), composed=composed)
        if atlas:
            found = auditing.with_elsewhere(found, engine)
    finally:
        engine.close()
    found = judged(found)
    bad = bool(found.findings or found.missed)
    auditing.write(found, forms.file_of(junit), forms.file_of(markdown), output)
    printed = give_json(found.to_json, json_file, indent=2) or _printed(found, junit, markdown)
    if not printed and (bad or not quiet):
        _show(found, failing=quiet or only is not None)
    if bad:
        exits.end(exits.FAILED)


def _asked(*, stopped: bool) -> Connection:
    """Return a connection whose daemon is asked already what it is, and for its containers."""
    from cgbench.engine import connection, endpoint

    listing = connection.containers(stopped=stopped)
    return connection.Connection(endpoint.choose(), ahead=(connection.INFO, listing))


def _as_it_is(found: Audit) -> Audit:
    return found


def _expecting(text: str) -> Callable[[Audit], Audit]:
    """Return what adds to an audit which of some limits are not as they are expected."""
    # Here and not above, nor in the command: most audits expect nothing.
    from cgbench.judging import expectations

    expected = expectations.parse(text)
    return lambda found: found.model_copy(
        update={"missed": tuple(expectations.missed(expected, found))}
    )


def _composed(file: Path) -> Mapping[str, Settings]:
    """Return the limits that a compose file declares, by service."""
    from cgbench.spec import compose_file

    return compose_file.read(file)


def _show(found: Audit, *, failing: bool) -> None:
    from cgbench.cli import audit_table
    from cgbench.reporting.words import audit as words

    audit_table.show(found, failing=failing)
    for one in found.missed:
        say(f"{one.container}: {one.reason}")
    say(f"{words.summary(found)}; {found.seconds:.1f} s")
    if found.elsewhere is not None:
        _show_elsewhere(found.elsewhere)


def _show_elsewhere(found: Elsewhere) -> None:
    from cgbench.reporting.words import elsewhere as words

    say(f"elsewhere: {words.headline(found)}")
    for line in words.not_so(found):
        say(f"    {line}")
    if found.not_so:
        say(f"    {words.ADVICE}")


def _printed(found: Audit, junit: Path | None, markdown: Path | None) -> bool:
    """Print the form that was asked for on standard output, and say whether there was one."""
    if PRINTED not in (junit, markdown):
        return False
    # Here and not above: most audits need neither.
    from cgbench.reporting import junit as as_junit
    from cgbench.reporting import markdown as as_markdown

    forms.give(lambda: as_junit.of_audit(found), junit)
    return forms.give(lambda: as_markdown.of_audit(found), markdown) or junit == PRINTED
