"""The same value set in two ways, compared within one run: by `docker run`, by `update`, ..."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cgbench.errors import BaselineError
from cgbench.judging import sides
from cgbench.judging.comparison import compare
from cgbench.judging.run import Run
from cgbench.records.comparison import Comparison


@dataclass(frozen=True)
class Ways:
    """One way against another, over the trials of each."""

    first: str
    other: str
    comparison: Comparison


def ways(run: Run) -> Iterator[Ways]:
    """Compare every other way of a run with the first of its schedule, at the values of both.

    Yields nothing where all values were set in one way, or no metric shows what the option does.
    """
    if len({row.via for row in run.rows}) < 2:
        return
    try:
        whole = sides.of_run(run)
    except BaselineError:
        return
    first, *others = dict.fromkeys(one.via for one in whole.series)
    for other in others:
        before = {(one.point, one.metric): one for one in whole.series if one.via == first}
        after = [
            one.model_copy(update={"via": first}) for one in whole.series if one.via == other
        ]  # fmt: skip
        after = [one for one in after if one.key in before]
        if not after:
            continue
        yield Ways(
            first,
            other,
            compare(
                whole.model_copy(
                    update={"name": first, "series": tuple(before[one.key] for one in after)}
                ),
                whole.model_copy(update={"name": other, "series": tuple(after)}),
            ),
        )
