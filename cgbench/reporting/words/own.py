"""How programs of one's own fared under each value, in a sentence for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cgbench.judging.estimates import Point
from cgbench.judging.own import FAILED, FIGURES, RECOVERED, SPIKE
from cgbench.judging.run import Run
from cgbench.spec.metrics import METRICS
from cgbench.wording import count, milliseconds, quantity


def sentences(run: Run, many: Sequence[Point]) -> Iterator[str]:
    """Yield a sentence for each program whose load was measured, at its best and worst value."""
    programs = run.record.experiment.programs
    for role in (one.role for one in run.record.experiment.containers if one.workload in programs):
        own = [point for point in many if point.role == role and point.changed]
        name = next((one for one in FIGURES if any(p.estimate(one) for p in own)), None)
        if name is not None:
            yield _sentence(role, name, [point for point in own if point.estimate(name)])
        felt = [point for point in own if point.estimate(SPIKE)]
        if len(felt) > 1:
            yield _spike(role, felt)


def loosened(run: Run) -> Iterator[str]:
    """Yield a sentence for each program that is less confined than a built-in workload."""
    for name, program in run.record.experiment.programs.items():
        if program.loosened:
            yield f"`{name}` {', '.join(program.loosened)}, as its file says."


def _spike(role: str, felt: Sequence[Point]) -> str:
    """Return what clients felt of changes themselves, whatever each value is like later."""
    worst = max(felt, key=lambda point: point.median(SPIKE) or 0.0)
    longest = max(felt, key=lambda point: point.median(RECOVERED) or 0.0)
    least = min(point.median(SPIKE) or 0.0 for point in felt)
    failed = sum(point.median(FAILED) or 0.0 for point in felt)
    said = (
        f"`{role}`: right after a change the longest latency was {milliseconds(least)} to "
        f"{milliseconds(worst.median(SPIKE) or 0.0)} ({worst.place})"
    )
    if recovered := longest.median(RECOVERED):
        said += f", and steady {milliseconds(recovered)} later at most ({longest.place})"
    lost = f"{count(round(failed), 'request')} failed" if failed else "no request failed"
    return f"{said}; {lost}."


def _sentence(role: str, name: str, own: Sequence[Point]) -> str:
    metric = METRICS[name]
    by_value = sorted(own, key=lambda point: point.median(name) or 0.0)
    best, worst = (by_value[0], by_value[-1]) if metric.worse != "lower" else (
        by_value[-1], by_value[0],
    )  # fmt: skip

    def said(point: Point) -> str:
        figure = quantity(point.median(name) or 0.0, metric.unit)
        failed = point.median("failed_pct") or 0.0
        lost = f" ({failed:.3g} % failed)" if failed else ""
        return f"{figure}{lost} at {point.place}"

    ends = said(best) if best is worst else f"{said(best)}, {said(worst)}"
    if best is not worst and best.median(name) == worst.median(name):
        ends = f"{quantity(best.median(name) or 0.0, metric.unit)} at every value"
    return f"`{role}`: {metric.label} {ends}."
