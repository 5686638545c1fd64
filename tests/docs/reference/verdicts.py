"""The verdicts of `verify`, the bands they are judged within, and the judgements of `compare`."""

from __future__ import annotations

from cgbench.records.comparison import SIGNS as JUDGEMENT_SIGNS
from cgbench.records.comparison import Judgement
from cgbench.records.truth import SIGNS
from cgbench.records.verdict import NOT_IN_FORCE, Outcome
from cgbench.reporting.pages import comparison as comparison_page
from cgbench.reporting.pages import truth as truth_page
from cgbench.spec import judged
from cgbench.spec.experiment import Experiment
from tests.docs.reference.experiments import loaded
from tests.docs.reference.markdown import code, codes, table
from tests.docs.reference.metrics import band


def verdicts() -> str:
    """Return a table of verdicts: sign, meaning, exit status."""
    return table(
        ("verdict", "sign", "meaning", "exit status of `verify`"),
        [(code(one.value), SIGNS[one], truth_page.MEANINGS[one], _status(one)) for one in Outcome],
    )


def listed() -> str:
    """Return a list of verdicts and their meanings."""
    return "\n".join(f"- {code(one.value)}: {truth_page.MEANINGS[one]}" for one in Outcome)


def judgements() -> str:
    """Return a table of judgements: sign, meaning."""
    return table(
        ("judgement", "sign", "meaning"),
        [
            (code(one.value), JUDGEMENT_SIGNS[one], comparison_page.MEANINGS[one])
            for one in Judgement
        ],
    )


def bands() -> str:
    """Return a table of what each experiment judges, by which metric, and within what."""
    return table(
        ("experiment", "options", "metric", "band"),
        [
            (
                code(one.name),
                codes(f"--{name}" for name in one.verify.options),
                _metric(one),
                _band(one),
            )
            for one in loaded()
            if one.verify is not None
        ],
    )


def _status(one: Outcome) -> str:
    if one is Outcome.INCONCLUSIVE:
        return "3"
    if one is Outcome.REJECTED:
        return "0; 1 if the kernel's value changed"
    return "1" if one in NOT_IN_FORCE else "0"


def _metric(one: Experiment) -> str:
    first = ", else ".join(code(name) for name in _names(one)) or "the interface file"
    assert one.verify is not None
    besides = judged.besides(one, one.verify.options[0])
    return "; and ".join([first, *(code(name) for name in besides)])


def _band(one: Experiment) -> str:
    widths = [band(judged.band(one, one.option, name)) for name in _names(one)]
    return ", else ".join(dict.fromkeys(widths)) or "–"


def _names(one: Experiment) -> tuple[str, ...]:
    assert one.verify is not None
    return judged.candidates(one, one.verify.options[0])
