"""How programs of one's own fared under each value, in a sentence for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cgbench.judging.estimates import Point
from cgbench.judging.own import FIGURES
from cgbench.judging.run import Run
from cgbench.spec.metrics import METRICS
from cgbench.wording import quantity


def sentences(run: Run, many: Sequence[Point]) -> Iterator[str]:
    """Yield a sentence for each program whose load was measured, at its best and worst value."""
    programs = run.record.experiment.programs
    for role in (one.role for one in run.record.experiment.containers if one.workload in programs):
        own = [point for point in many if point.role == role and point.changed]
        name = next((one for one in FIGURES if any(p.estimate(one) for p in own)), None)
        if name is not None:
            yield _sentence(role, name, [point for point in own if point.estimate(name)])


def loosened(run: Run) -> Iterator[str]:
    """Yield a sentence for each program that is less confined than a built-in workload."""
    for name, program in run.record.experiment.programs.items():
        if program.loosened:
            yield f"`{name}` {', '.join(program.loosened)}, as its file says."


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
    return f"`{role}`: {metric.label} {ends}."
