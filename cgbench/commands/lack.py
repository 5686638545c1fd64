"""What was lacking where a gate or an A/B comparison ended before every metric was decided."""

from __future__ import annotations

from dataclasses import dataclass

from cgbench.records.comparison import Comparison, Ending
from cgbench.units import NS_PER_S, format_duration


@dataclass(frozen=True)
class Lack:
    """How many more trials were needed, and what for; nothing where the last look was had."""

    trials: int = 0
    what: str = ""


def told(
    found: Comparison,
    lack: Lack,
    had: str,
    budget_s: float,
    each_s: float,
    *,
    exhausted: bool,
) -> Comparison:
    """Return a comparison that says why it ended so, if it is left open.

    `had` are the trials that were judged, `each_s` is how long one takes; `exhausted` says that no
    further one is measured, whatever the budget.
    """
    if found.decided:
        return found
    if exhausted or not lack.trials:
        ending = Ending.TRIALS
        why = f"{had} were judged, and no more are measured, however long the budget"
    else:
        ending = Ending.BUDGET
        why = (
            f"the budget of {_time(budget_s)} ended after {had}; "
            f"{lack.trials} more were needed {lack.what}"
        )
        if each_s:
            why += f", which take about {_time(lack.trials * each_s)}"
    return found.model_copy(update={"ended_by": ending, "notes": (*found.notes, why)})


def _time(seconds: float) -> str:
    return format_duration(seconds * NS_PER_S)
