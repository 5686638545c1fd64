"""Any run whose truth is known: of a limit, restarts, tasks that come late, or a set of CPUs."""

from __future__ import annotations

from random import Random

from tests.made import drawn_counts, drawn_runs
from tests.made.drawn_runs import Drawn

_KINDS = (drawn_runs.drawn,) * 3 + (drawn_counts.restarts, drawn_counts.tasks, drawn_counts.sets)


def drawn(rng: Random) -> Drawn:
    """Draw a run."""
    return rng.choice(_KINDS)(rng)
