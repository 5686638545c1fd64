"""A limit that Docker answers to have lifted, and that the kernel still holds."""

from __future__ import annotations

from cgbench.judging.verdict import advice_on
from cgbench.records.idle_findings import Lifting
from cgbench.records.truth import Row
from cgbench.records.verdict import NOT_IN_FORCE, Outcome
from cgbench.wording import count

OF_THE_VALUES = "of the values themselves: "
"""What stands in a reason before the one that the values gave."""


def by_liftings(row: Row) -> Row:
    """Return a row with its verdict wrong where a limit stays that Docker says it lifted."""
    one = row.verdict
    found = [lifting for lifting in row.liftings if lifting.fails]
    if not found or one.verdict in NOT_IN_FORCE:
        return row
    more = f" (and so in {count(len(found) - 1, 'other case')})" if len(found) > 1 else ""
    reason = f"{stays(found[0])}{more}; {OF_THE_VALUES}{one.reason}"
    update = {
        "verdict": Outcome.WRONG,
        "reason": reason,
        "advice": advice_on(Outcome.WRONG),
    }
    return row.model_copy(update={"verdict": one.model_copy(update=update)})


def stays(one: Lifting) -> str:
    """Say of a limit that was not lifted what Docker says and what the kernel holds."""
    warned = f"with the warning {one.message!r}" if one.outcome == "warned" else "ok"
    return (
        f"asked by {one.by} to lift {one.limit}, Docker answered {warned} and declares "
        f"{one.declared}, and {one.file} holds {one.after}"
    )
