"""The built-in experiments and the preconditions, from their files and the registry."""

from __future__ import annotations

from cgbench.host import preconditions as host
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment
from cgbench.spec.precondition import Precondition
from tests.docs.reference import markdown
from tests.docs.reference.markdown import code, codes


def loaded() -> list[Experiment]:
    """Return every built-in experiment."""
    return [experiment_file.load(name) for name in experiment_file.builtin_names()]


def table() -> str:
    """Return a table of every built-in experiment."""
    return markdown.table(
        ("experiment", "question", "requires", "`verify` judges by", "`gate` judges by"),
        [
            (code(one.name), one.question, codes(one.requires) or "–", _verify(one), _gate(one))
            for one in loaded()
        ],
    )


def preconditions() -> str:
    """Return a table of every precondition, and what is missing where it is not met."""
    return markdown.table(
        ("precondition", "where it is not met"),
        [(code(one.value), host.reason(one)) for one in Precondition],
    )


def _verify(one: Experiment) -> str:
    if one.verify is None:
        return "–"
    return code(one.verify.metric or "") or "the interface file"


def _gate(one: Experiment) -> str:
    return "as `verify`" if one.gate is None else codes(one.gate.metrics)
