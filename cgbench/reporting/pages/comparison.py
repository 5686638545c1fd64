"""What the page of comparisons says: the verdict, every finding, and how it was judged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cgbench.judging.comparison import FEWEST, MARGIN
from cgbench.judging.contrast import CLIP
from cgbench.records.comparison import SIGNS, Comparison, Difference, Finding, Judgement
from cgbench.reporting.plots.forest import forest
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.plots.trials import figure, trials
from cgbench.reporting.words import comparison as comparison_words
from cgbench.wording import count, signed_percent

MEANINGS = {
    Judgement.REGRESSED: "worse by what matters or more, with evidence",
    Judgement.INCOMPARABLE: "host, workload or schedule differ: nothing was compared",
    Judgement.INCONCLUSIVE: "these trials do not decide it: never a pass",
    Judgement.IMPROVED: "better by what matters or more, with evidence",
    Judgement.UNCHANGED: "the whole interval lies within what matters",
}
"""Each judgement as the page's legend explains it."""


@dataclass(frozen=True)
class Badge:
    """A judgement as a mark that needs no colour."""

    word: str
    sign: str


@dataclass(frozen=True)
class Row:
    """One finding as the table shows it, and its trials. `interval` is None if it is unknown."""

    anchor: str
    badge: Badge
    finding: Finding
    step: str
    baseline: str
    candidate: str
    change: str
    interval: str | None
    effect: str
    p: str
    trials: str
    plot: Plot | None

    @property
    def unfolded(self) -> bool:
        """Whether its trials are to be seen at once."""
        return self.finding.judgement is Judgement.REGRESSED


@dataclass(frozen=True)
class Part:
    """One comparison; `filters` are badges with their number."""

    anchor: str
    comparison: Comparison
    badge: Badge
    headline: str
    advice: str | None
    regressions: tuple[str, ...]
    rows: tuple[Row, ...]
    filters: tuple[tuple[Badge, int], ...]
    forest: Plot | None
    method: tuple[str, ...]

    @property
    def differences(self) -> list[Difference]:
        """The keys that differ, those that forbid a comparison first."""
        return sorted(self.comparison.differences, key=lambda one: one.allowed)


@dataclass(frozen=True)
class ComparisonPage:
    """The page: `legend` explains the judgements that occur on it."""

    parts: tuple[Part, ...]
    legend: tuple[tuple[Badge, str], ...]

    source = "readings"

    @property
    def subject(self) -> str:
        """What the page is of, as an error names it."""
        return f"a page of {count(len(self.parts), 'comparison')}"

    def documents(self) -> Mapping[str, object]:
        """Return the comparisons as plain data."""
        return {"comparisons": [part.comparison.to_json() for part in self.parts]}

    @property
    def title(self) -> str:
        """What the browser's tab says: the verdict first, which a narrow tab still shows."""
        worst = min((one.comparison.overall for one in self.parts), key=list(Judgement).index)
        names = dict.fromkeys(one.comparison.experiment for one in self.parts)
        return f"{SIGNS[worst]} {worst.value} · {', '.join(names)} · cgbench"

    def plots(self) -> dict[str, Plot]:
        """Return every plot by the identity of its element on the page."""
        return {
            f"{part.anchor}-{plot.name}": plot
            for part in self.parts
            for plot in (part.forest, *(row.plot for row in part.rows))
            if plot is not None
        }


def comparison_page(many: Sequence[Comparison]) -> ComparisonPage:
    """Gather the page's contents; `many` must not be empty."""
    parts = tuple(_part(one, f"comparison-{number}") for number, one in enumerate(many, 1))
    seen = {one.overall for one in many} | {
        each.judgement for one in many for each in one.findings
    }  # fmt: skip
    return ComparisonPage(
        parts, tuple((badge(one), MEANINGS[one]) for one in Judgement if one in seen)
    )


def badge(judgement: Judgement) -> Badge:
    """Return a judgement's mark."""
    return Badge(judgement.value, SIGNS[judgement])


def _part(found: Comparison, anchor: str) -> Part:
    findings = comparison_words.ordered(found)
    return Part(
        anchor=anchor,
        comparison=found,
        badge=badge(found.overall),
        headline=_headline(found),
        advice=comparison_words.advice(found),
        regressions=tuple(
            comparison_words.regression(one, found.level)
            for one in found.of(Judgement.REGRESSED)
        ),
        rows=tuple(_row(one, anchor, number) for number, one in enumerate(findings, 1)),
        filters=tuple(
            (badge(one), len(found.of(one))) for one in Judgement if found.of(one)
        ),
        forest=forest([(comparison_words.where(one), one) for one in findings]),
        method=method(found),
    )  # fmt: skip


def _row(one: Finding, anchor: str, number: int) -> Row:
    low, high = one.low_pct, one.high_pct
    return Row(
        anchor=f"{anchor}-finding-{number}",
        badge=badge(one.judgement),
        finding=one,
        step=one.point.label if one.via == "update" else f"{one.point.label} ({one.via})",
        baseline=_middle(one, 0),
        candidate=_middle(one, 1),
        change="–" if one.change_pct is None else signed_percent(one.change_pct),
        interval=None
        if low is None or high is None
        else f"{signed_percent(low)} to {signed_percent(high)}",
        effect=f"±{one.effect_pct:.3g} %" if one.effect_pct else "–",
        p="–" if one.p is None else f"{one.p:.2g}",
        trials=f"{len(one.baseline)} / {len(one.candidate)}",
        plot=trials(one, f"trials-{number}"),
    )


def _middle(one: Finding, side: int) -> str:
    sides = comparison_words.middles(one)
    if sides is not None:
        return figure(sides[side], one.unit)
    values = (one.baseline, one.candidate)[side]
    return figure(median(values), one.unit) if values else "–"


def _headline(found: Comparison) -> str:
    """Return the headline with the sides' names as code, which stays on one line."""
    text = comparison_words.headline(found)
    for name in {found.baseline, found.candidate}:
        if "`" not in name and " " not in name:
            text = re.sub(
                rf"(?<= against ){re.escape(name)}|{re.escape(name)}(?= against )",
                # A function: backslashes in a name are no references to groups.
                lambda found: f"`{found.group()}`",
                text,
            )
    return text


def method(found: Comparison) -> tuple[str, ...]:
    """Return how findings were judged, in two sentences and one per special case; else none."""
    if not found.findings:
        return ()
    dealt, statistic = (
        ("the signs of the pairs' differences are turned", "t")
        if found.paired
        else ("the trials are dealt to the two sides", "Welch t")
    )
    # Two sessions differ by themselves; pairs do not.
    clearly = "" if found.paired else f" by {MARGIN:g} of half its interval"
    sentences = [
        f"p is how often the largest {statistic} of all "
        f"{count(len(found.findings), 'metric')} reaches the one that was seen when {dealt} at "
        f"random (a maxT permutation test, so it is corrected for their number); a change counts "
        f"if p is at most {found.alpha:.2g} and it exceeds the smallest that matters{clearly}. A "
        "gate also wants fresh trials to show a regression again.",
        f"The change is the ratio of the sides' geometric means, which the columns show; trials "
        f"far from the middle of both sides are pulled in to {CLIP:g} times the usual distance "
        f"first, where they are few. It has a {100 * found.level:.0f} % bootstrap interval over "
        f"trials, widened because they are few (Hesterberg); unchanged takes a whole interval too "
        f"small to matter.",
    ]
    if any(one.change_pct is not None and _partly_zero(one) for one in found.findings):
        sentences.append("Where a trial shows 0, the metric's resolution is added before dividing.")
    if any(one.change_pct is None and _enough(one) for one in found.findings):
        sentences.append(
            "Where there is no ratio, medians are shown, and every single trial must agree."
        )
    return tuple(sentences)


def _partly_zero(one: Finding) -> bool:
    values = (*one.baseline, *one.candidate)
    return 0 in values and any(values)


def _enough(one: Finding) -> bool:
    return min(len(one.baseline), len(one.candidate)) >= FEWEST
