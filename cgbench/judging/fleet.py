"""What the hosts of a fleet have in common, and which of them is unlike its group.

What most of a group have is its usual value; a host that has another one departs. Where no value is
that of most, the group is split, and nobody departs: two against two say nothing of either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from cgbench.records.audit import Amount, Audit, Limit
from cgbench.records.comparison import Comparison, Finding, Judgement
from cgbench.records.host import Host
from cgbench.records.host_key import PARTS, HostKey, host_key
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import NOT_IN_FORCE, Outcome
from cgbench.spec.metrics import METRICS
from cgbench.spec.options import OPTIONS

V = TypeVar("V", bound=Hashable)

_UNDECIDED = (Judgement.INCONCLUSIVE, Judgement.INCOMPARABLE)

_FEWEST = 3
"""Of fewer hosts none is unlike the others: either may be."""

Of = Literal["host", "verdict", "limit", "point", "metric"]


@dataclass(frozen=True)
class Departure:
    """One thing in which a host is unlike its group: `usual` is what `like` of `number` have.

    `subject` is a part of the host's key, an option, or a limit of a container; `why` is what the
    host's own document says of it, empty where that is nothing.
    """

    host: str
    of: Of
    subject: str
    own: str
    usual: str
    like: int
    number: int
    why: str = ""


@dataclass(frozen=True)
class Split:
    """One thing in which no value is that of most: how many have which, the most frequent first."""

    subject: str
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Group:
    """Hosts that are alike by their key; `usual` is what most of them have, by option.

    `left_open` are options that some host could not decide, with how many.
    """

    key: HostKey
    hosts: tuple[str, ...]
    usual: Mapping[str, Outcome]
    splits: tuple[Split, ...]
    left_open: Mapping[str, int]


@dataclass(frozen=True)
class Standing:
    """A fleet's groups, and who departs, the hosts that depart in most first."""

    groups: tuple[Group, ...]
    departures: tuple[Departure, ...]
    splits: tuple[Split, ...]

    @property
    def outliers(self) -> tuple[str, ...]:
        """The hosts that depart in anything, in order."""
        return tuple(dict.fromkeys(one.host for one in self.departures))


def usual(values: Sequence[V]) -> tuple[V, int] | None:
    """Return the value that more than half have, with how many; None where there is none.

    Of fewer than three values none is usual.
    """
    if len(values) < _FEWEST:
        return None
    value, number = Counter(values).most_common(1)[0]
    return (value, number) if 2 * number > len(values) else None


def of_hosts(hosts: Mapping[str, Host], tags: Mapping[str, Sequence[str]]) -> list[Departure]:
    """Return in what a host is unlike those it shares a tag with; all are one group without tags.

    A host departs once in each thing, from the largest group that it is unlike.
    """
    found: dict[tuple[str, str], Departure] = {}
    for group in sorted(_tagged(hosts, tags), key=len, reverse=True):
        facts = {name: dict(_facts(hosts[name])) for name in group}
        for subject in dict.fromkeys(key for one in facts.values() for key in one):
            known = {name: one[subject] for name, one in facts.items() if subject in one}
            for one in _departures(known, "host", subject):
                found.setdefault((one.host, subject), one)
    return list(found.values())


def _tagged(
    hosts: Mapping[str, Host], tags: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, ...]]:
    every = dict.fromkeys(tag for name in hosts for tag in tags.get(name, ()))
    for tag in every:
        yield tuple(name for name in hosts if tag in tags.get(name, ()))
    untagged = tuple(name for name in hosts if not tags.get(name))
    if untagged:
        yield untagged


def _facts(host: Host) -> Iterator[tuple[str, str]]:
    """Yield what is known of a host, in words; what was not recorded is left out."""
    key = host_key(host)
    for part in PARTS:
        words = key.words(part.name)
        if words:
            yield part.words, words
    yield "CPUs", str(host.cpus)


def group_of(host: Host) -> str:
    """Return what hosts must share so that their figures can be compared."""
    return f"{host_key(host).line}, {host.cpus} CPUs ({host.cpu_model})"


def _departures(
    values: Mapping[str, str], of: Of, subject: str, why: Mapping[str, str] | None = None
) -> Iterator[Departure]:
    most = usual(list(values.values()))
    if most is None:
        return
    value, like = most
    for host, own in values.items():
        if own != value:
            yield Departure(
                host, of, subject, own, value, like, len(values), (why or {}).get(host, "")
            )


def of_tables(tables: Mapping[str, TruthTable], tags: Mapping[str, Sequence[str]]) -> Standing:
    """Group hosts by their keys, and find each whose verdicts are unlike its group's.

    A verdict that was left open departs from nothing, and is nobody's usual one.
    """
    departures = of_hosts({name: table.host for name, table in tables.items()}, tags)
    by_key: dict[HostKey, list[str]] = {}
    for name, table in tables.items():
        by_key.setdefault(host_key(table.host), []).append(name)
    groups = []
    for key, names in sorted(by_key.items(), key=lambda pair: -len(pair[1])):
        rows = {name: _by_option(tables[name]) for name in names}
        groups.append(_group(key, tuple(names), rows))
        for option in OPTIONS:
            decided = _decided(rows, option)
            departures += _departures(
                {name: _verdict(row) for name, row in decided.items()}, "verdict", option,
                {name: row.verdict.reason for name, row in decided.items()},
            )  # fmt: skip
    return Standing(tuple(groups), tuple(most_first(departures)), ())


def _group(key: HostKey, names: tuple[str, ...], rows: Mapping[str, Mapping[str, Row]]) -> Group:
    common: dict[str, Outcome] = {}
    splits, left_open = [], {}
    for option in OPTIONS:
        decided = list(_decided(rows, option).values())
        open_ = sum(option in one for one in rows.values()) - len(decided)
        if open_:
            left_open[option] = open_
        words = [_verdict(row) for row in decided]
        most = usual(words)
        if most is not None:
            common[option] = decided[words.index(most[0])].verdict.verdict
        elif words and len(set(words)) == 1:
            common[option] = decided[0].verdict.verdict
        elif words:
            splits.append(Split(option, tuple(Counter(words).most_common())))
    return Group(key, names, common, tuple(splits), left_open)


def _decided(rows: Mapping[str, Mapping[str, Row]], option: str) -> dict[str, Row]:
    return {
        name: one[option]
        for name, one in rows.items()
        if option in one and one[option].verdict.verdict is not Outcome.INCONCLUSIVE
    }


def _verdict(row: Row) -> str:
    """Return a verdict in words, and whether more was found than it says."""
    found = row.verdict.verdict
    also = row.fails and found not in NOT_IN_FORCE
    return f"{found.value}, and Docker says what is not so" if also else found.value


def _by_option(table: TruthTable) -> dict[str, Row]:
    return {row.verdict.option: row for row in table.rows}


def of_audits(
    audits: Mapping[str, Audit], hosts: Mapping[str, Host], tags: Mapping[str, Sequence[str]]
) -> Standing:
    """Find each host on which a limit of a container is unlike that of the same name elsewhere."""
    departures = of_hosts(hosts, tags)
    limits: dict[tuple[str, str], dict[str, Limit]] = {}
    for host, audit in audits.items():
        for container in audit.containers:
            for limit in container.limits:
                limits.setdefault((container.name, limit.limit), {})[host] = limit
    splits = []
    for (called, name), there in limits.items():
        subject = f"{called}: {name}"
        words = {host: _limit(limit) for host, limit in there.items()}
        departures += _departures(
            words, "limit", subject, {host: limit.reason for host, limit in there.items()}
        )
        many = Counter(words.values())
        if len(many) > 1 and usual(list(words.values())) is None:
            splits.append(Split(subject, tuple(many.most_common())))
    return Standing((), tuple(most_first(departures)), tuple(splits))


def of_gates(
    gates: Mapping[str, Sequence[Comparison]], hosts: Mapping[str, Host],
    tags: Mapping[str, Sequence[str]],
) -> Standing:  # fmt: skip
    """Find each host whose metrics went another way than those of most, against its own baseline.

    What a gate could not decide departs from nothing.
    """
    departures = of_hosts(hosts, tags)
    metrics: dict[str, dict[str, Finding]] = {}
    for host, some in gates.items():
        for one in some:
            for finding in one.findings:
                if finding.judgement not in _UNDECIDED:
                    subject = (
                        f"{one.experiment}: {METRICS[finding.metric].label} of {finding.role} at "
                        f"--{finding.option} {finding.point.label}"
                    )
                    metrics.setdefault(subject, {})[host] = finding
    for subject, there in metrics.items():
        departures += _departures(
            {host: one.judgement.value for host, one in there.items()}, "metric", subject,
            {host: one.reason for host, one in there.items()},
        )  # fmt: skip
    return Standing((), tuple(most_first(departures)), ())


def _limit(limit: Limit) -> str:
    return f"{_amount(limit.effective)}, {limit.finding.value}"


def _amount(value: Amount | None) -> str:
    if value is None:
        return "no limit"
    return value if isinstance(value, str) else f"{value:.15g}"


def most_first(departures: Sequence[Departure]) -> list[Departure]:
    """Return departures, those of the hosts that depart in most first."""
    number = Counter(one.host for one in departures)
    return sorted(departures, key=lambda one: (-number[one.host], one.host))
