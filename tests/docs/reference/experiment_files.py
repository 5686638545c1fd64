"""The keys of an experiment file, from the pydantic models that check it."""

from __future__ import annotations

from cgbench.spec.experiment import Experiment
from tests.docs.reference import schemas

_PLACES = {
    "Experiment": "the top of the file",
    "Container": "`[[containers]]`",
    "Step": "`[[steps]]`",
    "Sampling": "`[sampling]`",
    "Quick": "`[quick]`",
    "Verify": "`[verify]`",
    "Band": "`band` in `[verify]`",
    "Gate": "`[gate]`",
}


def keys() -> str:
    """Return a section per table of the file."""
    models = schemas.every(Experiment)
    headings = {one: one.__name__ for one in models}
    return "\n\n".join(
        f"### {headings[one]}\n\nKeys of {_PLACES.get(one.__name__, 'a table')}.\n\n"
        + schemas.section(one, "validation", headings)
        for one in models
    )
