"""Write comparisons in every form that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench.records import writing
from cgbench.records.comparison import Comparison
from cgbench.reporting import junit, markdown


@dataclass(frozen=True)
class Outputs:
    """Where each form goes; `summary` is a Markdown file that others write to as well."""

    junit: Path | None = None
    markdown: Path | None = None
    page: Path | None = None
    summary: Path | None = None


def write(found: Sequence[Comparison], outputs: Outputs) -> None:
    """Write all forms. Raises StoreError when one of them cannot be written."""
    if outputs.junit is not None:
        writing.write_named(outputs.junit, junit.of_comparisons(found))
    if outputs.markdown is not None:
        writing.write_named(outputs.markdown, markdown.of_comparisons(found))
    if outputs.summary is not None:
        writing.append_file(outputs.summary, markdown.of_comparisons(found))
    if outputs.page is not None:
        # Here and not above: it loads what draws plots.
        from cgbench.reporting.render import write_comparisons

        write_comparisons(found, outputs.page)
