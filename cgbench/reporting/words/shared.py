"""Who was charged for files that containers share, in words with numbers."""

from __future__ import annotations

from collections.abc import Iterator

from cgbench.judging.run import Run
from cgbench.units import format_size


def sentences(run: Run) -> Iterator[str]:
    """Yield, for each container that shares another's files, how much of them it was charged."""
    for one in run.record.experiment.containers:
        if one.shares is None or not one.size:
            continue
        held = [
            row.value
            for row in run.rows
            if row.role == one.role and row.metric == "memory_max_bytes"
        ]
        if held:
            most, files = max(held), f"{format_size(one.size)} of files that {one.shares} made"
            rest = ", so they may be charged to it as well" if most >= one.size else ""
            yield (
                f"{one.role} went through {files}, and held at most {format_size(most)}"
                f"{rest or ': no more of them can be charged to it'}."
            )
