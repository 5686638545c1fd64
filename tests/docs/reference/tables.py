"""The Parquet files of a run: their columns, read from a run made for it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow.parquet as pq

from cgbench.records.run import Row
from tests.docs.reference.markdown import code, table
from tests.made.run_builder import MadeUp, build


def columns() -> str:
    """Return a table of each Parquet file and its columns with their types."""
    with tempfile.TemporaryDirectory() as place:
        run = build(Path(place), MadeUp(trials=1, sampling_hz=100)).path
        files = sorted(run.rglob("*.parquet"), key=lambda path: (len(path.parts), path.name))
        return table(
            ("file", "columns"),
            [(code(path.relative_to(run).as_posix()), _columns(path)) for path in files],
        )


def _columns(path: Path) -> str:
    if path.name == "phases.parquet":
        # Rows have a separate type, which also shows what may be null.
        return ", ".join(f"`{name}` {_hint(kind)}" for name, kind in get_type_hints(Row).items())
    named = [one for one in pq.read_schema(path) if _fixed(one.name)]
    rest = len(pq.read_schema(path)) - len(named)
    words = [f"`{one.name}` {_type(str(one.type))}" for one in named]
    if rest:
        words.append("then a column per counter, `file` or `file:key`")
    return ", ".join(words)


def _fixed(name: str) -> bool:
    return re.fullmatch(r"[a-z_]+", name) is not None


def _type(name: str) -> str:
    return "text" if "string" in name else {"int64": "integer", "double": "number"}.get(name, name)


def _hint(kind: Any) -> str:
    words = {str: "text", int: "integer", float: "number", type(None): "null"}
    return " or ".join(words[one] for one in getattr(kind, "__args__", (kind,)))
