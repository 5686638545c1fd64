"""Every way in which a daemon spoils updates here, with what must be said of it, stated by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cgbench.records.verdict import Outcome
from tests.bench.short_options import Short
from tests.bench.spoiled import Expected, Kind, must
from tests.made.relay import OK, Document, Reply, Spoiler, Update

EFFECTIVE, IMPRECISE, PARTIAL = Outcome.EFFECTIVE, Outcome.IMPRECISE, Outcome.PARTIAL
WRONG, IGNORED, REVERTED = Outcome.WRONG, Outcome.IGNORED, Outcome.REVERTED
DISCARDED, REJECTED, INCONCLUSIVE = Outcome.DISCARDED, Outcome.REJECTED, Outcome.INCONCLUSIVE

Body = Mapping[str, object]


@dataclass(frozen=True)
class Liar(Spoiler):
    """A spoiler that answers each update as a function does."""

    answers: Callable[[Update], Reply]

    def update(self, update: Update) -> Reply:
        """Answer as the function does."""
        return self.answers(update)


def scaled(body: Body, factor: float) -> Document:
    """Return an update with all quantities multiplied."""
    return {key: round(value * factor) if isinstance(value, int) else value
            for key, value in body.items()}  # fmt: skip


_OTHER_SETS = {"0": "1", "1": "0", "0-1": "0"}
_OTHER_POLICIES = {"no": {"Name": "always", "MaximumRetryCount": 0}}


def other(body: Body) -> Document:
    """Return an update to other values: half of each quantity, another CPU, another policy."""
    changed = scaled(body, 0.5)
    for key, value in body.items():
        if isinstance(value, str):
            changed[key] = _OTHER_SETS[value]
        elif isinstance(value, dict):
            changed[key] = _OTHER_POLICIES.get(value["Name"], {"Name": "no"})
    return changed


def _dropped(_update: Update) -> Reply:
    return OK


def _honest(update: Update) -> Reply:
    return update.apply()


def _halved(update: Update) -> Reply:
    update.surely(other(update.body))
    return OK


def _late(after_s: float) -> Callable[[Update], Reply]:
    def answer(update: Update) -> Reply:
        update.later(after_s, update.surely)
        return OK

    return answer


def _changes(short: Short) -> str | None:
    return short.unable


def _kind(
    name: str,
    does: str,
    answers: Callable[[Update], Reply],
    expected: Callable[[Short], Expected] | Expected,
    unmet: Callable[[Short], str | None] = _changes,
) -> Kind:
    stated = expected if callable(expected) else lambda _short: expected
    return Kind(name, does, lambda _short: Liar(answers), stated, unmet)


def _as_honest(short: Short) -> Expected:
    return must(short.honest)


KINDS: tuple[Kind, ...] = (
    _kind("honest", "passes everything on", _honest, _as_honest),
    _kind("dropped", "answers ok and does nothing", _dropped, must(IGNORED)),
    _kind(
        "late",
        "answers ok and applies it 600 ms later",
        _late(0.6),
        _as_honest,
    ),
    _kind("halved", "applies half of it, or another CPU or policy", _halved, must(WRONG)),
)
"""All kinds, by what they do to an update."""
