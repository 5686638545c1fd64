"""What differs between hosts, option by option, apart from figures within their bands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cgbench.records.host import Host
from cgbench.records.idle_findings import Attempt
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Declared
from cgbench.reporting.words import states, truth_cells
from cgbench.spec.options import OPTIONS
from cgbench.units import format_size

_FACTS: tuple[tuple[str, Callable[[Host], str]], ...] = (
    ("cgroup", lambda host: f"{host.cgroup}, {host.cgroup_driver} driver"),
    ("Kernel", lambda host: host.kernel),
    ("Engine", lambda host: host.engine_words),
    ("Runtime", lambda host: host.runtime_words),
    ("System", lambda host: host.os),
    ("CPUs", lambda host: f"{host.cpus} × {host.cpu_model}"),
    ("Memory", lambda host: format_size(host.memory_bytes)),
    ("Swap", lambda host: format_size(host.swap_bytes) if host.swap_bytes else "none"),
    ("Timer", lambda host: f"{host.timer_hz} Hz" if host.timer_hz else "unknown"),
)


@dataclass(frozen=True)
class HostDifference:
    """One thing that differs between hosts: its text on each, None where it was not measured.

    `verdict` says that it is the verdict itself.
    """

    what: str
    texts: tuple[str | None, ...]
    verdict: bool = False


@dataclass(frozen=True)
class OptionDifferences:
    """Everything that differs about one option; `flag` is as typed on a command line."""

    option: str
    flag: str
    found: tuple[HostDifference, ...]


def fact_differences(hosts: Sequence[Host]) -> list[HostDifference]:
    """Return the facts about the hosts that are not the same on all of them."""
    found = [(what, tuple(text_of(host) for host in hosts)) for what, text_of in _FACTS]
    return [HostDifference(what, texts) for what, texts in found if len(set(texts)) > 1]


def option_differences(tables: Sequence[TruthTable]) -> list[OptionDifferences]:
    """Return what differs, in the registry's order, for options that several hosts measured.

    Figures within their bands and the names of interface files are no differences here.
    """
    by_host = [{row.verdict.option: row for row in table.rows} for table in tables]
    found = []
    for option in OPTIONS.values():
        rows = [rows.get(option.name) for rows in by_host]
        differences = list(_of(rows, [_pairs(table, option.name) for table in tables]))
        if differences:
            found.append(OptionDifferences(option.name, option.flag, tuple(differences)))
    return found


def _of(
    rows: Sequence[Row | None], pairs: Sequence[dict[str, str] | None]
) -> Iterator[HostDifference]:
    yield from _where(rows, "verdict", lambda row: row.verdict.verdict.value, verdict=True)
    yield from _where(rows, "Docker's answers", lambda row: _answers(row.verdict.declared))
    tried = [None if row is None or not row.bounds else _bounds(row) for row in rows]
    yield from _by_key(tried, "")
    yield from _where(rows, "lifted again", _lifted)
    lived = [None if row is None or not row.survivals else _lived(row) for row in rows]
    yield from _by_key(lived, "")
    updated = [None if row is None or not row.states else _updated(row) for row in rows]
    yield from _by_key(updated, "updated while ")
    yield from _where(rows, "born with it", _born)
    yield from _by_key(pairs, "set first, then ")


def _updated(row: Row) -> dict[str, str]:
    return {one.state: states.in_force(one) for one in row.states if one.missed is None}


def _where(
    rows: Sequence[Row | None],
    what: str,
    text_of: Callable[[Row], str | None],
    *,
    verdict: bool = False,
) -> Iterator[HostDifference]:
    """Yield a difference where at least two hosts have a text, and not the same one."""
    texts = tuple(None if row is None else text_of(row) for row in rows)
    if len({text for text in texts if text is not None}) > 1:
        yield HostDifference(what, texts, verdict)


def _by_key(by_host: Sequence[dict[str, str] | None], prefix: str) -> Iterator[HostDifference]:
    """Yield what differs among things that several hosts have by one name.

    Names with the same texts on every host share one line.
    """
    keys = dict.fromkeys(key for known in by_host if known is not None for key in known)
    together: dict[tuple[str | None, ...], list[str]] = {}
    for key in keys:
        texts = tuple(None if known is None else known.get(key) for known in by_host)
        if len({text for text in texts if text is not None}) > 1:
            together.setdefault(texts, []).append(key)
    for texts, names in together.items():
        yield HostDifference(prefix + truth_cells.listed(names), texts)


def _answers(one: Declared) -> str | None:
    if one.accepted == 0 and not one.refused:
        return None
    if one.accepted == 0:
        return "refused"
    words = "accepted with a warning" if one.warnings else "accepted"
    return f"{words}, some values refused" if one.refused else words


def _bounds(row: Row) -> dict[str, str]:
    """Return the result for each value at a bound; values that were tried twice are left out."""
    counted = Counter(_value(one) for one in row.bounds)
    return {_value(one): _became(one) for one in row.bounds if counted[_value(one)] == 1}


def _value(one: Attempt) -> str:
    return f"`docker {one.how} --{one.option} {one.tried or '(empty)'}`"


def _became(one: Attempt) -> str:
    if one.outcome == "rejected":
        return "refused, and yet something changed" if one.changed else "refused"
    words = "accepted with a warning" if one.outcome == "warned" else "accepted"
    return words if one.changed else f"{words}, and nothing changed"


def _lived(row: Row) -> dict[str, str]:
    """Return what became of each value in each stage; the example stands for the option."""
    found = {}
    for survival in row.survivals:
        of = "" if survival is row.survival else f"`{truth_cells.survived_value(survival)}` "
        for one in survival.stages:
            found[f"{of}after {truth_cells.OCCASIONS[one.stage]}"] = truth_cells.stage(one)
    return found


def _lifted(row: Row) -> str | None:
    liftable = truth_cells.liftable(row)
    if liftable is None:
        return None
    return "by an update" if liftable else "by no update that was tried"


def _born(row: Row) -> str | None:
    compared = [one.same for one in row.born_vs_changed if one.same is not None]
    if not compared:
        return None
    return "the same as updated to it" if all(compared) else "not the same as updated to it"


def _pairs(table: TruthTable, option: str) -> dict[str, str] | None:
    """Return an option's outcome for each option set after it; None if there were none."""
    found = {f"`--{one.b}`": one.outcome.value for one in table.interactions if one.a == option}
    return found or None
