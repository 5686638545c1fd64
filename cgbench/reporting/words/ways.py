"""Two ways of setting the same value, in a sentence: what differs, by how much, what does not."""

from __future__ import annotations

from collections.abc import Iterator

from cgbench.judging.run import Run
from cgbench.judging.ways import Ways, ways
from cgbench.records.comparison import Finding, Judgement
from cgbench.reporting.words.comparison import change, levels
from cgbench.wording import count

_CHANGED = (Judgement.REGRESSED, Judgement.IMPROVED)


def sentences(run: Run) -> Iterator[str]:
    """Yield a sentence for each way that a run compares with the first."""
    for one in ways(run):
        yield sentence(one)


def sentence(one: Ways) -> str:
    """Return what differs between two ways, with intervals, and how many figures do not."""
    found = one.comparison.findings
    changed = [each for each in found if each.judgement in _CHANGED]
    alike = sum(each.judgement is Judgement.UNCHANGED for each in found)
    parts = [_told(each) for each in changed]
    if alike:
        parts.append(f"{count(alike, 'figure')} the same within what matters")
    if (rest := len(found) - len(changed) - alike) > 0:
        parts.append(f"{rest} left open by so few trials")
    return f"Set by `{one.other}` instead of `{one.first}`: {'; '.join(parts)}."


def _told(one: Finding) -> str:
    return f"{one.metric} of {one.role} at {one.point.label} {levels(one)}, {change(one)}"
