"""The JSON documents that cgbench writes, from their pydantic models."""

from __future__ import annotations

from pydantic import BaseModel

from cgbench.records.atlas import AtlasRow
from cgbench.records.audit import Audit
from cgbench.records.baseline import Baseline
from cgbench.records.cause import Explained
from cgbench.records.comparison import Comparison
from cgbench.records.fleet import FleetRecord
from cgbench.records.run import RunRecord
from cgbench.records.trial import TrialRecord
from cgbench.records.truth import TruthTable
from cgbench.records.tune import Tuned
from cgbench.records.watch import Look
from cgbench.spec.experiment import Experiment
from tests.docs.reference import schemas

_DOCUMENTS: dict[str, type[BaseModel]] = {
    "run.json": RunRecord,
    "a line of trials.jsonl": TrialRecord,
    "a baseline": Baseline,
    "the truth table": TruthTable,
    "a row of the atlas": AtlasRow,
    "a fleet": FleetRecord,
    "a search": Tuned,
    "a comparison": Comparison,
    "an audit": Audit,
    "an explanation": Explained,
    "a look": Look,
}


def all_documents() -> str:
    """Return a section per document, and one for each object in it where it first occurs."""
    # An experiment has a page of its own.
    inside = dict.fromkeys(schemas.every(Experiment))
    headings: dict[type[BaseModel], str] = {}
    parts = []
    for title, document in _DOCUMENTS.items():
        parts.append(f"### {title}")
        new = [one for one in schemas.every(document) if one not in (*inside, *headings)]
        for one in new:
            taken = one.__name__ in headings.values()
            headings[one] = f"{one.__name__} of {title}" if taken else one.__name__
        for one in new:
            text = schemas.section(one, "serialization", headings)
            parts.append(f"#### {headings[one]}\n\n{text}")
    return "\n\n".join(parts)
