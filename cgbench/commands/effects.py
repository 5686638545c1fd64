"""Whose effect on a workload is disturbed while every other option is updated."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cgbench.commands.session import Session
from cgbench.host import preconditions
from cgbench.judging import effects as judging
from cgbench.judging.run import load
from cgbench.measuring import run
from cgbench.measuring.progress import Silent
from cgbench.records.idle_findings import Effect, Felt, Interaction, Meeting
from cgbench.records.truth import TruthTable
from cgbench.records.verdict import Outcome
from cgbench.spec import effects as spec
from cgbench.spec.option import Option
from cgbench.spec.options import OPTIONS
from cgbench.wording import count

_IN_FORCE = (Outcome.EFFECTIVE, Outcome.IMPRECISE, Outcome.PARTIAL, Outcome.INCONCLUSIVE)
"""Verdicts on options that may have an effect to disturb."""

_MOST_AGAIN, _TIMES = 3, 3
"""How many disturbed effects of one option are measured again, and how often each."""


def watched(table: TruthTable, session: Session) -> TruthTable:
    """Return a table whose pairs of options say what a workload felt of the second.

    Only pairs are watched in which the second is accepted beside the first, of options that were
    in force by themselves and whose effect this host can show.
    """
    found: dict[tuple[str, str], Effect] = {}
    for row in table.rows:
        option = row.verdict.option
        if row.verdict.verdict in _IN_FORCE and option in spec.SHOWN and _possible(option):
            for other, effect in _measured(option, table.interactions, session).items():
                found[option, other] = effect
    pairs = tuple(
        one.model_copy(update={"effect": found.get((one.a, one.b), one.effect)})
        for one in table.interactions
    )
    return table.model_copy(update={"interactions": pairs})


def _possible(option: str) -> bool:
    required = spec.SHOWN[option].requires
    return all(preconditions.preconditions(required).values())


def _measured(
    option: str, interactions: Sequence[Interaction], session: Session
) -> dict[str, Effect]:
    """Measure an option's effect beside others, and once more where that decides nothing."""
    outcomes = {one.b: one.outcome for one in interactions if one.a == option}
    beside = [b for b, outcome in outcomes.items() if outcome is Meeting.INDEPENDENT]
    apart = [b for b, outcome in outcomes.items() if outcome is Meeting.DISTURBED]
    refused = [(one.a, one.b) for one in interactions if one.outcome is Meeting.REFUSED]
    walks = spec.walks(option, [*beside, *apart], refused, apart)
    if not walks:
        return {}
    found = {name: one for name, (one, *_) in _run(option, walks, session).items()}
    again = [*_undecided(walks, found), *_lives(found)]
    if again:
        for name, several in _run(option, again, session).items():
            found[name] = judging.confirmed(found[name], several)
    return _by_those_measured_again(found, {one.name for walk in again for one in walk})


def _undecided(
    walks: Sequence[Sequence[Option]], found: Mapping[str, Effect]
) -> list[list[Option]]:
    """Return what a restless host left open; where that is most, it is so by itself."""
    left = [
        [one for one in walk if found[one.name].felt is Felt.INCONCLUSIVE] for walk in walks
    ]  # fmt: skip
    few = 2 * sum(map(len, left)) < sum(map(len, walks))
    return [walk for walk in left if walk] if few else []


def _lives(found: Mapping[str, Effect]) -> list[list[Option]]:
    """Return lives in which disturbed effects are measured again, each several times."""
    names = [name for name, one in found.items() if one.felt is Felt.DISTURBED][:_MOST_AGAIN]
    return [[OPTIONS[name]] for name in names for _ in range(_TIMES)]


def _by_those_measured_again(
    found: Mapping[str, Effect], measured: Collection[str]
) -> dict[str, Effect]:
    """Return effects of which those disturbed too many to be measured again follow the others."""
    disturbed = {name for name, one in found.items() if one.felt is Felt.DISTURBED}
    if len(disturbed & set(measured)) == _MOST_AGAIN:
        return dict(found)
    open_ones = {
        name: found[name].model_copy(
            update={
                "felt": Felt.INCONCLUSIVE,
                "reason": f"{found[name].reason}; seen once, and the like not every time",
            }
        )
        for name in disturbed - set(measured)
    }
    return {**found, **open_ones}


def _run(
    option: str, walks: Sequence[Sequence[Option]], session: Session
) -> dict[str, list[Effect]]:
    others = sum(map(len, walks))
    session.progress(f"--{option}: its effect beside {count(others, 'update')} of other options")
    shown = spec.experiment(option, walks)
    met = preconditions.preconditions(shown.requires)
    request = run.Request(
        shown, session.image, session.results, session.seed, quick=True, purpose="verify"
    )
    directory = run.begin(request, session.engine, met)
    run.execute(directory, directory.run(), session.engine, Silent())
    measured = load(directory)
    found = judging.effects(measured, option)
    measured.keep_rows()
    return found
