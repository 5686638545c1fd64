"""What the page of a fleet says: who is unlike its group, the groups, and every host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from cgbench.judging.fleet import Departure, Standing
from cgbench.records.audit import Audit
from cgbench.records.comparison import SIGNS as JUDGED
from cgbench.records.comparison import Comparison, Judgement
from cgbench.records.fleet import FleetRecord, Member, State
from cgbench.records.truth import SIGNS, TruthTable
from cgbench.reporting.pages.truth import tone
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.words import audit as audit_words
from cgbench.reporting.words import fleet as words
from cgbench.spec.metrics import METRICS
from cgbench.spec.options import OPTIONS
from cgbench.wording import count

_MOST_FINDINGS = 2000
_TONES = {"regressed": "bad", "improved": "good"}


@dataclass(frozen=True)
class Cell:
    """What most hosts of a group have of one option; `open` is on how many it was left open."""

    option: str
    word: str
    sign: str
    tone: str
    open: int
    departing: tuple[str, ...]


@dataclass(frozen=True)
class GroupPart:
    """Hosts that are alike, with what most of them have."""

    anchor: str
    title: str
    hosts: tuple[str, ...]
    cells: tuple[Cell, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True)
class HostLine:
    """One host; `departures` say in what it is unlike its group."""

    name: str
    anchor: str
    tags: str
    sign: str
    state: str
    tone: str
    reason: str
    ended: str
    took: str
    group: int | None
    departures: tuple[Departure, ...]


@dataclass(frozen=True)
class FindingLine:
    """One thing that audits or gates found, and on which hosts."""

    what: str
    finding: str
    reason: str
    hosts: tuple[str, ...]
    tone: str = "bad"


@dataclass(frozen=True)
class FleetPage:
    """The page."""

    record: FleetRecord
    headline: str
    hosts: tuple[HostLine, ...]
    groups: tuple[GroupPart, ...]
    findings: tuple[FindingLine, ...]
    splits: tuple[str, ...]
    curves: Mapping[str, Plot] = field(default_factory=dict)

    source = "results of each host"

    @property
    def title(self) -> str:
        """What the browser's tab says."""
        return f"Fleet of {count(len(self.hosts), 'host')} · cgbench"

    @property
    def subject(self) -> str:
        """What the page is of, as an error names it."""
        return f"a fleet of {count(len(self.hosts), 'host')}"

    @property
    def command(self) -> str:
        """What every host did."""
        return " ".join(("cgbench", self.record.command, *self.record.arguments))

    @property
    def endings(self) -> str | None:
        """On how many hosts the command ended with what, None where all is as it should be."""
        return words.endings(self.record)

    @property
    def outliers(self) -> list[HostLine]:
        """The hosts that are unlike their group."""
        return [one for one in self.hosts if one.departures]

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """Sign, word and meaning of every state that occurs."""
        there = dict.fromkeys(one.state for one in self.hosts)
        return [
            (words.SIGNS[state], state.value, words.MEANINGS[state])
            for state in State
            if state.value in there
        ]

    def plots(self) -> dict[str, Plot]:
        """Return the curves of the fleet."""
        return dict(self.curves)

    def documents(self) -> Mapping[str, object]:
        """Return nothing: each host's document lies beside the page."""
        return {}


def fleet_page(
    record: FleetRecord,
    standing: Standing,
    tables: Mapping[str, TruthTable],
    audits: Mapping[str, Audit],
    curves: Mapping[str, Plot],
    gates: Mapping[str, Sequence[Comparison]] = MappingProxyType({}),
) -> FleetPage:
    """Gather the page's contents; hosts that are unlike others, or gave nothing, come first."""
    by_host: dict[str, list[Departure]] = {}
    for one in standing.departures:
        by_host.setdefault(one.host, []).append(one)
    groups = {
        name: number for number, group in enumerate(standing.groups, 1) for name in group.hosts
    }
    hosts = [
        _host(number, member, by_host.get(member.name, ()), groups)
        for number, member in enumerate(record.members, 1)
    ]
    hosts.sort(key=lambda one: (-len(one.departures), one.state == State.DONE, one.name))
    return FleetPage(
        record=record,
        headline=words.headline(record, standing),
        hosts=tuple(hosts),
        groups=tuple(_groups(standing, by_host)) if tables else (),
        findings=tuple(_findings(audits) + _changes(gates)),
        splits=tuple(map(words.split, standing.splits)),
        curves=curves,
    )


def _host(
    number: int, member: Member, departures: Sequence[Departure], groups: Mapping[str, int]
) -> HostLine:
    good = member.state is State.DONE
    return HostLine(
        name=member.name, anchor=f"host-{number}", tags=", ".join(member.tags),
        sign=words.SIGNS[member.state], state=member.state.value,
        tone="bad" if departures or not good else "good", reason=member.reason or "",
        ended=words.status(member), took=words.took(member), group=groups.get(member.name),
        departures=tuple(departures),
    )  # fmt: skip


def _groups(standing: Standing, by_host: Mapping[str, Sequence[Departure]]) -> list[GroupPart]:
    parts = []
    for number, group in enumerate(standing.groups, 1):
        there = set(group.hosts)
        cells = []
        for option in OPTIONS:
            found = group.usual.get(option)
            if found is None:
                continue
            departing = tuple(
                host
                for host, some in by_host.items()
                if host in there
                and any(one.of == "verdict" and one.subject == option for one in some)
            )
            cells.append(Cell(
                option, found.value, SIGNS[found], tone(found), group.left_open.get(option, 0),
                departing,
            ))  # fmt: skip
        parts.append(GroupPart(
            f"group-{number}", group.key.line, group.hosts, tuple(cells),
            tuple(words.split(one, option=True) for one in group.splits),
        ))  # fmt: skip
    return parts


def _changes(gates: Mapping[str, Sequence[Comparison]]) -> list[FindingLine]:
    """Return what gates found, the worst first: one line for all hosts of which it is so."""
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for host, some in gates.items():
        for comparison in some:
            for one in comparison.findings:
                if one.judgement is not Judgement.UNCHANGED:
                    what = (
                        f"{comparison.experiment}: {METRICS[one.metric].label} of {one.role} at "
                        f"--{one.option} {one.point.label}"
                    )
                    sign = f"{JUDGED[one.judgement]} {one.judgement.value}"
                    found.setdefault((what, sign), (one.reason, []))[1].append(host)
    rows = [
        FindingLine(what, finding, reason, tuple(hosts), _TONES.get(finding.split()[-1], "quiet"))
        for (what, finding), (reason, hosts) in found.items()
    ]
    order = [f"{JUDGED[one]} {one.value}" for one in Judgement]
    rows.sort(key=lambda one: (order.index(one.finding), -len(one.hosts)))
    return rows[:_MOST_FINDINGS]


def _findings(audits: Mapping[str, Audit]) -> list[FindingLine]:
    """Return what was found, the most frequent first: one line for all hosts that have it."""
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for host, audit in audits.items():
        for container, limit in audit.findings:
            key = (f"{container.name}: {limit.limit}", audit_words.finding(limit.finding))
            found.setdefault(key, (limit.reason, []))[1].append(host)
    rows = [
        FindingLine(what, finding, reason, tuple(hosts))
        for (what, finding), (reason, hosts) in found.items()
    ]
    return sorted(rows, key=lambda one: -len(one.hosts))[:_MOST_FINDINGS]
