"""What the page of an audit says: findings first, then every container with each of its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cgbench.records.audit import Audit, Audited, Found, Limit
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.words import audit as words
from cgbench.reporting.words import elsewhere
from cgbench.wording import capitalised, count

_TONES = {Found.IN_FORCE: "good", Found.UNLIMITED: "quiet"}


@dataclass(frozen=True)
class FileLine:
    """One interface file: its path for `cat`, its text, and what it should be if that is known."""

    path: str
    text: str
    expected: str | None


@dataclass(frozen=True)
class LimitLine:
    """One limit; `used_pct` is what is used of it, at most 100, None where that is not known.
    `proof` are the files that prove a finding.
    """

    name: str
    declared: str
    effective: str
    bound: str
    above: str | None
    felt: str
    used_pct: float | None
    finding: str
    tone: str
    reason: str
    files: tuple[FileLine, ...]
    proof: tuple[FileLine, ...]


@dataclass(frozen=True)
class ContainerPart:
    """One container; its limits that are declared or held, the worst first."""

    anchor: str
    name: str
    facts: str
    unread: str | None
    tone: str
    lines: tuple[LimitLine, ...]


@dataclass(frozen=True)
class AuditPage:
    """The page; `findings` are container, its anchor, and the limit."""

    audit: Audit
    headline: str
    containers: tuple[ContainerPart, ...]
    findings: tuple[tuple[str, str, LimitLine], ...]

    source = "readings"

    @property
    def title(self) -> str:
        """What the browser's tab says."""
        return f"Audit of {self.audit.hostname} · cgbench"

    @property
    def subject(self) -> str:
        """What the page is of, as an error names it."""
        return f"an audit of {count(len(self.containers), 'container')}"

    @property
    def elsewhere(self) -> str | None:
        """What was measured on a host like this one, in a sentence, if somebody asked for it."""
        found = self.audit.elsewhere
        return None if found is None else capitalised(elsewhere.headline(found))

    @property
    def not_so(self) -> list[str]:
        """The options of which Docker said there what was not so."""
        return [] if self.audit.elsewhere is None else elsewhere.not_so(self.audit.elsewhere)

    @property
    def advice(self) -> str:
        """What to do about what is not known of this host."""
        return elsewhere.ADVICE

    def plots(self) -> dict[str, Plot]:
        """Return no plots."""
        return {}

    def documents(self) -> Mapping[str, object]:
        """Return the audit as plain data."""
        return {"audit": self.audit.to_json()}


def audit_page(audit: Audit) -> AuditPage:
    """Gather the page's contents."""
    parts = tuple(
        _container(f"container-{number}", one) for number, one in enumerate(audit.containers, 1)
    )
    findings = tuple(
        (part.name, part.anchor, line)
        for part in parts
        for line in part.lines
        if line.tone == "bad"
    )
    return AuditPage(audit, words.headline(audit), parts, findings)


def _container(anchor: str, one: Audited) -> ContainerPart:
    facts = [one.image, one.state, one.id[:12], *([one.manager] if one.manager else [])]
    lines = tuple(_line(limit) for limit in words.shown(one))
    tone = "bad" if any(line.tone == "bad" for line in lines) else "good" if lines else "quiet"
    return ContainerPart(anchor, one.name, ", ".join(facts), one.unread, tone, lines)


def _line(limit: Limit) -> LimitLine:
    bound, pct = limit.bound_by, words.used_pct(limit)
    files = tuple(
        FileLine(path, "absent" if text is None else text, limit.expected.get(path))
        for path, text in limit.files.items()
    )
    return LimitLine(
        name=limit.limit,
        declared=words.amount(limit, limit.declared),
        effective=words.amount(limit, limit.effective),
        bound=bound.kind,
        above=bound.path if bound.kind == "ancestor" else None,
        felt=words.felt(limit),
        used_pct=None if pct is None else min(100.0, pct),
        finding=words.finding(limit.finding),
        tone=_TONES.get(limit.finding, "bad"),
        reason=limit.reason,
        files=files,
        proof=tuple(FileLine(path, text, None) for path, text in limit.proof.items()) or files,
    )
