"""Updates in each state, in words: when they are in force, and what is a surprise."""

from __future__ import annotations

import pytest

from cgbench.records.idle_findings import StateFinding, When
from cgbench.records.truth import Row
from cgbench.records.verdict import Outcome
from cgbench.reporting import junit
from cgbench.reporting.words import states, truth
from tests.made.truth_tables import table, unseen, updated

HOLLOW = updated("created", "1", "1", in_force=When.NEVER)
USUAL = updated("exited", "1", "2", in_force=When.START)
REFUSED = updated("paused", "1", "1", in_force=When.NEVER, outcome="rejected", declared="1")
MISSED = StateFinding(
    option="cpu-shares", state="restarting", value="2", sent="2", missed="it was too quick"
)


def row(*found: StateFinding, outcome: Outcome = Outcome.EFFECTIVE) -> Row:
    return Row(verdict=unseen("cpu-shares", outcome), states=found)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (USUAL, "at the next start"),
        (HOLLOW, "never"),
        (REFUSED, "refused"),
        (MISSED, "not seen"),
        (updated("exited", "1", "2"), "its file does not show it"),
        (updated("exited", "1", "2").model_copy(update={"file": None}), "no file shows it"),
        (updated("exited", "1", "1", declared="1"), "Docker does not declare it"),
        (updated("exited"), "the container does not start"),
        (updated("running", "2", "1", in_force=When.NOW, undone=True), "now, then undone"),
        (REFUSED.model_copy(update={"after": HOLLOW.after}), "refused, and changed all the same"),
    ],
)
def test_each_update_says_when_it_was_in_force(found: StateFinding, words: str) -> None:
    assert states.in_force(found) == words


def test_usual_updates_refusals_and_missed_states_are_no_surprise() -> None:
    one = row(USUAL, REFUSED, MISSED)
    assert states.surprises(one) == []
    assert not one.fails


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (HOLLOW, "an update of a created container is declared and never in force"),
        (updated("paused", "2", "1", in_force=When.NOW, undone=True),
         "an update of a paused container is in force, and then undone"),
        (updated("restarting", "1", "2", in_force=When.RESTART, outcome="rejected"),
         "an update of a restarting container is refused, and changes it all the same"),
    ],
)  # fmt: skip
def test_what_docker_says_and_is_not_so_fails_the_option_whatever_its_verdict(
    found: StateFinding, said: str
) -> None:
    one = row(USUAL, found)
    assert states.surprises(one) == [said]
    assert one.fails
    made = table(Outcome.EFFECTIVE)
    failing = made.model_copy(update={"rows": (one,)})
    assert made.not_in_force == ()
    assert failing.not_in_force == ("cpu-shares",)
    assert truth.headline(failing).startswith("1 of 1 option of `docker update` is not what it")
    assert "`--cpu-shares` is not as Docker says after an update in" in truth.headline(failing)
    assert f'<failure message="{said}"' in junit.of_truth(failing)


def test_what_docker_does_not_declare_is_not_called_in_force_by_it() -> None:
    dropped = updated("created", "1", "1", in_force=When.NEVER, outcome="warned", declared="1")
    assert not row(dropped).fails
    assert states.surprises(row(dropped)) == []


def test_a_container_that_does_not_start_is_a_surprise_and_no_fiction() -> None:
    one = row(updated("created"), updated("exited"), USUAL.model_copy(update={"state": "stopping"}))
    assert states.surprises(one) == [
        "an update of a created or exited container is accepted, and then the container does not "
        "start"
    ]
    assert not one.fails


def test_what_the_verdict_says_already_is_not_said_again() -> None:
    running = updated("running", "1", "1", in_force=When.NEVER)
    assert states.surprises(row(running, HOLLOW, outcome=Outcome.IGNORED)) == []
    assert len(states.surprises(row(running, HOLLOW))) == 1


def test_later_than_need_be_is_a_surprise() -> None:
    late = updated("paused", "1", "2", in_force=When.RESTART)
    assert states.surprises(row(late)) == [
        "an update of a paused container takes hold only at the restart"
    ]
    assert not row(late).fails


def test_readings_and_declarations_are_shown_in_their_order() -> None:
    assert states.readings(USUAL) == "– → 1 → 2"
    assert states.declared(USUAL) == "1 → 2"
    assert states.declared(MISSED) == "–"
    assert states.words(MISSED) == "it was too quick"
