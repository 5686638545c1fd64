"""Follow a metric across all runs, and write the page of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.judging import history as trends
from cgbench.judging.history import Wanted
from cgbench.judging.trend import History


@dataclass(frozen=True)
class Traced:
    """The trends of a metric, and their page."""

    history: History
    page: Path

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: what `cgbench history --json` gives."""
        return self.history.to_json() | {"report": str(self.page)}


def history(wanted: Wanted, results: Path, output: Path | None) -> Traced:
    """Gather a metric from every run under `results`, and write the page."""
    found = trends.read(results, wanted)
    # Here and not above: when there is no trend, nothing needs to be drawn.
    from cgbench.reporting.render import write_history

    page = write_history(found, output or results / f"history-{wanted.metric}.html")
    return Traced(found, page)
