"""The truth table in words: its headline, and its other findings at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from cgbench.records.idle_findings import Felt, Meeting
from cgbench.records.truth import TruthTable
from cgbench.records.verdict import NOT_IN_FORCE, Outcome
from cgbench.reporting.words.truth_cells import flags, listed, surprises, times, worst_point
from cgbench.spec.options import OPTIONS
from cgbench.wording import capitalised, count, milliseconds, signed_percent

UNDECIDED = (Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED)
"""Verdicts that say nothing about the option."""

_WRONGS = (
    ((Outcome.WRONG,), "does not do what was asked, or more than that",
     "do not do what was asked, or more than that"),
    ((Outcome.IGNORED, Outcome.DISCARDED), "is accepted and never reaches the kernel",
     "are accepted and never reach the kernel"),
    ((Outcome.INEFFECTIVE,), "is set in the kernel without an effect",
     "are set in the kernel without an effect"),
    ((Outcome.REVERTED,), "takes hold and does not last", "take hold and do not last"),
    ((Outcome.IMPRECISE,), "takes hold outside the tolerance", "take hold outside the tolerance"),
)  # fmt: skip


def _having(table: TruthTable, *outcomes: Outcome) -> list[str]:
    return [row.verdict.option for row in table.rows if row.verdict.verdict in outcomes]


def _yet_changed(table: TruthTable) -> list[str]:
    """Return the options that change although Docker refuses, and that have no worse fault."""
    return [
        row.verdict.option
        for row in table.rows
        if row.verdict.refused_yet_changed and row.verdict.verdict not in NOT_IN_FORCE
    ]


def _belied(table: TruthTable) -> list[str]:
    """Return the options that are at fault only where a container is in some state."""
    at_fault = (*NOT_IN_FORCE, Outcome.IMPRECISE)
    return [
        row.verdict.option
        for row in table.rows
        if row.belied and row.verdict.verdict not in at_fault and not row.verdict.fails
    ]


def headline(table: TruthTable) -> str:
    """Return how many options are not what they say on this host, and which."""
    total = len(table.rows)
    wrong = len({*table.not_in_force, *_having(table, Outcome.IMPRECISE)})
    if wrong:
        by = [(_having(table, *outcomes), one, many) for outcomes, one, many in _WRONGS]
        by.append((_yet_changed(table), "is refused and changes all the same",
                   "are refused and change all the same"))  # fmt: skip
        by.append((_belied(table), "is not as Docker says after an update in some state",
                   "are not as Docker says after an update in some state"))  # fmt: skip
        clauses = [
            f"{flags(names)} {one if len(names) == 1 else many}" for names, one, many in by if names
        ]
        says = "is not what it says" if wrong == 1 else "are not what they say"
        which = "; ".join(clauses)
        return (
            f"{wrong} of {count(total, 'option')} of `docker update` {says} on this host: {which}."
        )
    holding = len(_having(table, Outcome.EFFECTIVE))
    says = "does what it says" if holding == 1 else "do what they say"
    if holding == total > 1:
        return f"All {total} options of `docker update` {says} on this host."
    rest = "" if holding == total else ", and none was seen to do anything else"
    return f"{holding} of {count(total, 'option')} of `docker update` {says} on this host{rest}."


def compared(tables: Sequence[TruthTable], names: Sequence[str]) -> str:
    """Return how many options the given hosts disagree on."""
    differing = differing_options(tables)
    total = len({row.verdict.option for table in tables for row in table.rows})
    if not differing:
        return f"{listed(names)} agree on {count(total, 'option')} of `docker update`."
    return (
        f"{listed(names)} disagree on {len(differing)} of {count(total, 'option')} of "
        f"`docker update`: {flags(differing)}."
    )


def differing_options(tables: Sequence[TruthTable]) -> list[str]:
    """Return the options with more than one verdict among the hosts, in the registry's order."""
    verdicts: dict[str, set[Outcome]] = {}
    for table in tables:
        for row in table.rows:
            verdicts.setdefault(row.verdict.option, set()).add(row.verdict.verdict)
    return [name for name in OPTIONS if len(verdicts.get(name, ())) > 1]


def findings(table: TruthTable) -> list[str]:
    """Return the table's other findings at a glance, one sentence each."""
    found = [
        _holding(table), _undecided(table), _times(table), *_surprising(table), _meetings(table),
        effects(table),
    ]  # fmt: skip
    return [sentence for sentence in found if sentence is not None]


def _holding(table: TruthTable) -> str | None:
    holding = [row.verdict for row in table.rows if row.verdict.verdict is Outcome.EFFECTIVE]
    if not holding:
        return None
    worst = [(point, one) for one in holding if (point := worst_point(one)) is not None]
    first = f"{len(holding)} of {len(table.rows)} hold within the tolerance"
    off = [(point, one) for point, one in worst if point.error_pct is not None]
    if not off:
        return f"{first}."
    point, one = max(off, key=lambda pair: abs(pair[0].error_pct or 0.0))
    return (
        f"{first}; the largest error is {signed_percent(point.error_pct or 0.0)}, "
        f"of `--{one.option} {point.label}`."
    )


def _undecided(table: TruthTable) -> str | None:
    refused, undecided = _having(table, Outcome.REJECTED), _having(table, *UNDECIDED)
    partly = _having(table, Outcome.PARTIAL)
    clauses = []
    if refused:
        clauses.append(f"every update of {flags(refused)} is refused")
    if partly:
        clauses.append(f"some updates of {flags(partly)} are refused")
    if undecided:
        clauses.append(f"{flags(undecided)} {'is' if len(undecided) == 1 else 'are'} undecided")
    return f"{capitalised('; '.join(clauses))}." if clauses else None


def _times(table: TruthTable) -> str | None:
    # A workload with 0 ms never left its band: no change reached it.
    reached = [
        (settled, row.verdict.option)
        for row in table.rows
        if (settled := times(row.verdict).experienced)
    ]
    if not reached:
        return None
    slowest, name = max(reached)
    return (
        f"A change reaches the workload {milliseconds(median(time for time, _ in reached))} after "
        f"the request (median of {count(len(reached), 'option')}), at the slowest "
        f"{milliseconds(slowest)} after it (`--{name}`)."
    )


def _surprising(table: TruthTable) -> list[str]:
    """Return each surprise once, with the options that show it."""
    by: dict[str, list[str]] = {}
    for row in table.rows:
        for clause in surprises(row):
            by.setdefault(clause, []).append(row.verdict.option)
    return [f"{flags(names)}: {clause}." for clause, names in by.items()]


def _meetings(table: TruthTable) -> str | None:
    if not table.interactions:
        return None
    by = Counter(one.outcome for one in table.interactions)
    return (
        f"Set after one another, {by[Meeting.DISTURBED]} of {len(table.interactions)} ordered "
        f"pairs of options disturb what was set first, and {by[Meeting.REFUSED]} are refused."
    )


def effects(table: TruthTable) -> str | None:
    """Return what workloads felt of updates of other options, None where none was watched."""
    felt = Counter(one.effect.felt for one in table.interactions if one.effect is not None)
    if not felt:
        return None
    holding = felt[Felt.KEPT] + felt[Felt.FOLLOWED]
    open_ones = felt[Felt.INCONCLUSIVE] + felt[Felt.NOT_SHOWN]
    total = count(sum(felt.values()), "ordered pair")
    return (
        f"Of {total} whose effect a workload shows, {holding} keep it or follow what both ask for, "
        f"{felt[Felt.DISTURBED]} lose it, and {open_ones} are open."
    )
