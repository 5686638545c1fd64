"""What the kernel held: at once, late, undone, twice, something else, nothing new."""

from __future__ import annotations

import pytest

from cgbench.judging import enforced
from cgbench.judging.enforced import Neighbours
from cgbench.records.confines import Confines, Group
from cgbench.records.file_history import FileHistory, Stood
from cgbench.records.other_limits import Unasked
from cgbench.records.trial import Ending, FileChange, Phase
from cgbench.records.verdict import Outcome
from tests.made import records

REQUEST, ANSWER, END = 1_000, 2_000, 3_000
OLD, NEW, ELSE = "-1", "50000", "25000"


def file(*stood: tuple[int, str | None], after: str | None = None, **more: object) -> FileChange:
    """Return the file of a quota that held these texts, the first of them at the request."""
    readings = [Stood(t_ns=t_ns, text=text) for t_ns, text in stood]
    at_answer = [one.text for one in readings if one.t_ns <= ANSWER][-1] if readings else OLD
    history = FileHistory.of(readings)
    made = FileChange(
        file="cpu.cfs_quota_us", before=OLD, after=after or at_answer, expected=NEW,
        held=None if not readings else readings[-1].text, history=history,
        t_changed_ns=history.took_hold_ns(NEW),
    )  # fmt: skip
    return made.model_copy(update=more)


def outcome(*files: FileChange, warnings: tuple[str, ...] = ()) -> Outcome | None:
    found = enforced.departure(phase(*files, warnings=warnings))
    return None if found is None else found.outcome


def phase(*files: FileChange, warnings: tuple[str, ...] = ()) -> Phase:
    made = records.phase(*files)
    change = made.change.model_copy(update={"warnings": warnings})
    return made.model_copy(update={"change": change})


HELD = ((REQUEST, OLD), (1_500, NEW))
LATE = ((REQUEST, OLD), (2_600, NEW))


@pytest.mark.parametrize(
    "stood",
    [
        HELD,
        LATE,
        # It held the value before, and nothing changed.
        ((REQUEST, NEW),),
        # A runtime writes twice before Docker answers.
        ((REQUEST, OLD), (1_100, NEW), (1_200, ELSE), (1_300, NEW)),
        # A transition on the way there.
        ((REQUEST, OLD), (1_100, ELSE), (2_300, NEW)),
        # The group went with its container.
        (*HELD, (2_900, None)),
    ],
)
def test_what_stands_to_the_end_once_it_stood_is_held(
    stood: tuple[tuple[int, str | None], ...],
) -> None:
    assert outcome(file(*stood)) is None


@pytest.mark.parametrize(
    ("stood", "expected"),
    [
        (((REQUEST, OLD),), Outcome.IGNORED),
        ((*HELD, (2_500, OLD)), Outcome.REVERTED),
        ((*LATE, (2_800, ELSE)), Outcome.REVERTED),
        ((*HELD, (2_500, OLD), (2_600, NEW)), Outcome.REVERTED),
        (((REQUEST, OLD), (1_500, ELSE)), Outcome.WRONG),
        (((REQUEST, OLD), (1_500, "51000")), Outcome.IMPRECISE),
        (((REQUEST, OLD), (1_500, "55001")), Outcome.WRONG),
        (((REQUEST, OLD), (1_500, "max")), Outcome.WRONG),
        # It changed and went back, and never was what was asked for.
        (((REQUEST, OLD), (1_500, ELSE), (1_600, OLD)), Outcome.WRONG),
    ],
)
def test_what_does_not_is_called_what_it_is(
    stood: tuple[tuple[int, str | None], ...], expected: Outcome
) -> None:
    assert outcome(file(*stood)) is expected


def test_a_value_that_was_there_between_two_samples_was_undone() -> None:
    assert outcome(file((REQUEST, OLD), after=NEW)) is Outcome.REVERTED


def test_a_value_that_is_gone_when_the_phase_ends_was_undone() -> None:
    assert outcome(file(*HELD, held=OLD)) is Outcome.REVERTED


def test_a_file_that_is_rewritten_all_the_time_was_undone_at_least_so_often() -> None:
    restless = [(REQUEST, OLD)] + [(2_000 + at, (NEW, ELSE)[at % 2]) for at in range(1, 200)]
    found = enforced.departure(phase(file(*restless, (2_900, NEW))))
    assert found is not None
    assert found.outcome is Outcome.REVERTED
    assert "at least" in found.reason


def test_a_drop_that_docker_warns_of_is_discarded() -> None:
    assert outcome(file((REQUEST, OLD)), warnings=("dropped",)) is Outcome.DISCARDED


def test_lists_of_cpus_are_right_or_wrong() -> None:
    cpus = file((REQUEST, "0-9"), (1_500, "10"), file="cpuset.cpus", before="0-9", expected="11")
    assert outcome(cpus) is Outcome.WRONG


def test_the_worst_of_several_files_counts() -> None:
    assert outcome(file(*HELD), file((REQUEST, OLD), (1_500, ELSE))) is Outcome.WRONG
    assert outcome(file(*HELD), file(*LATE)) is None


def test_a_file_that_could_not_be_read_shows_nothing() -> None:
    gone = file((REQUEST, None), before=None, after=None)
    assert outcome(gone) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((OLD, NEW, NEW), None),
        ((OLD, NEW, None), None),
        ((OLD, NEW, OLD), Outcome.REVERTED),
        ((OLD, OLD, OLD), Outcome.IGNORED),
        ((OLD, ELSE, ELSE), Outcome.WRONG),
    ],
)
def test_older_runs_are_judged_by_three_readings(
    texts: tuple[str, str, str | None], expected: Outcome | None
) -> None:
    before, after, held = texts
    older = FileChange(
        file="cpu.cfs_quota_us", before=before, after=after, expected=NEW, held=held
    )  # fmt: skip
    assert outcome(older) is expected


def test_a_value_is_due_where_a_file_had_to_change() -> None:
    assert enforced.due(phase(file(*HELD)))
    assert not enforced.due(phase(file((REQUEST, NEW))))
    assert enforced.due(phase())


def test_what_was_refused_and_changed_all_the_same_is_said() -> None:
    said = enforced.yet_changed(phase(file(*HELD)))
    assert said == "cpu.cfs_quota_us went from -1 to 50000 all the same"
    assert enforced.yet_changed(phase(file((REQUEST, OLD)))) is None
    # A runtime that fails half-way puts back what it had written.
    assert enforced.yet_changed(phase(file(*HELD, (2_500, OLD)))) is None


@pytest.mark.parametrize(("oom_killed", "said"), [(True, None), (False, Outcome.IGNORED)])
def test_a_file_that_went_with_a_container_that_was_killed_for_its_memory_is_not_ignored(
    oom_killed: bool, said: Outcome | None
) -> None:
    gone = FileChange(
        file="memory.max", before="max", after=None, expected="50331648", held=None
    )  # fmt: skip
    ended = Ending(role="worker", t_ns=2_500, exit_code=137, oom_killed=oom_killed, reason="ended")
    found = enforced.departure(phase(gone).model_copy(update={"ending": ended}))
    assert (None if found is None else found.outcome) is said


def moved(affinity: str, *groups: str, cpus: str = "0-1", option: str = "cpuset-cpus") -> Phase:
    """Return a phase on a set of CPUs, with what confined the container when it ended."""
    made = phase()
    paths = ("/docker/1", "/docker", "/")
    confines = Confines(
        affinity=(affinity,),
        groups=tuple(
            Group(path=path, files={"cpuset.cpus.effective": text})
            for path, text in zip(paths, groups, strict=False)
        ),
    )
    return made.model_copy(
        update={"option": option, "settings": {"cpuset-cpus": cpus}, "confines": confines}
    )


def test_a_set_of_which_every_cpu_can_be_used_is_held() -> None:
    assert enforced.departure(moved("0-1", "0-1", "0-3", "0-3")) is None
    assert enforced.departure(moved("0-1", "0-1", "0-1", cpus="0")) is None


def test_an_inherited_affinity_makes_a_set_wrong_and_is_named() -> None:
    """Met on a real host: dockerd was started under `taskset -c 0`."""
    found = enforced.departure(moved("0", "0-1", "0-1"))
    assert found is not None
    assert found.outcome is Outcome.WRONG
    assert found.reason == (
        "of the set 0-1 only CPU 0 can be used: Cpus_allowed_list of its processes is 0"
    )


def test_a_narrower_group_above_is_named() -> None:
    found = enforced.departure(moved("0", "0", "0", "0-3"))
    assert found is not None
    assert found.reason.endswith("only CPU 0 can be used: cpuset.cpus.effective of /docker is 0")
    found = enforced.departure(moved("0", "0", "0", "0-3", cpus="2"))
    assert found is not None
    assert "of the set 2 no CPU can be used" in found.reason


def test_confines_say_nothing_of_other_options() -> None:
    assert enforced.departure(moved("0", "0-1", option="cpu-quota")) is None


def test_a_held_value_is_wrong_where_processes_are_in_another_group() -> None:
    confines = Confines(astray={"cpu,cpuacct": "/else"})
    found = enforced.departure(phase(file(*HELD)).model_copy(update={"confines": confines}))
    assert found is not None
    assert found.outcome is Outcome.WRONG
    assert found.reason == (
        "the file holds cpu-quota 50000, but some of its processes are in the group /else, where "
        "it does not count"
    )
    elsewhere = Confines(astray={"memory": "/else"})
    held = phase(file(*HELD)).model_copy(update={"confines": elsewhere})
    assert enforced.departure(held) is None


PERIOD = FileChange(
    file="cpu.cfs_period_us", before="100000", after="100000", expected="20000", held="100000"
)  # fmt: skip


@pytest.mark.parametrize(("warnings"), [(), ("dropped",)])
def test_a_key_that_was_dropped_beside_one_that_arrived_is_wrong(warnings: tuple[str, ...]) -> None:
    found = enforced.departure(phase(file(*HELD), PERIOD, warnings=warnings))
    assert found is not None
    assert found.outcome is Outcome.WRONG
    assert found.reason.startswith("a part of it arrived: ")
    assert "cpu.cfs_period_us stayed 100000" in found.reason


def test_where_no_key_arrived_it_is_ignored() -> None:
    assert outcome(file((REQUEST, OLD)), PERIOD) is Outcome.IGNORED


def test_a_key_that_was_there_before_is_no_part_that_arrived() -> None:
    there = PERIOD.model_copy(update={"expected": "100000"})
    assert outcome(file((REQUEST, OLD)), there) is Outcome.IGNORED


@pytest.mark.parametrize("stood", [HELD, ((REQUEST, OLD),)])
def test_a_limit_that_changed_though_nobody_asked_is_wrong_whatever_became_of_the_value(
    stood: tuple[tuple[int, str | None], ...],
) -> None:
    more = (Unasked(role="rival", file="pids.max", before="max", held="200"),)
    found = enforced.departure(phase(file(*stood)).model_copy(update={"unasked": more}))
    assert found is not None
    assert found.outcome is Outcome.WRONG
    assert "nobody asked to change pids.max of rival from max to 200" in found.reason


def test_a_refused_change_that_changed_something_else_is_reported() -> None:
    more = (Unasked(role="rival", file="pids.max", before="max", held="200"),)
    refused = phase(file((REQUEST, OLD))).model_copy(update={"unasked": more})
    assert enforced.yet_changed(refused) == "pids.max of rival went from max to 200 all the same"


def asked_later(expected: str, *stood: tuple[int, str | None]) -> Phase:
    """Return the phase that follows, in which another value was asked for."""
    return phase(file(*stood, expected=expected))


def test_a_value_that_comes_in_the_next_phase_is_named_in_both() -> None:
    first = phase(file((REQUEST, OLD)))
    second = asked_later("70000", (REQUEST, OLD), (2_700, NEW))
    ignored = enforced.departure(first, Neighbours(after=second))
    wrong = enforced.departure(second, Neighbours(before=first))
    assert ignored is not None
    assert wrong is not None
    assert (ignored.outcome, wrong.outcome) == (Outcome.IGNORED, Outcome.WRONG)
    for found in (ignored, wrong):
        assert f"{NEW}, asked for by 50000, came after its phase" in found.reason


def test_a_value_that_undoes_the_next_one_is_named_as_late() -> None:
    first = phase(file((REQUEST, OLD)))
    second = asked_later("70000", (REQUEST, OLD), (1_500, "70000"), (2_700, NEW))
    found = enforced.departure(second, Neighbours(before=first))
    assert found is not None
    assert found.outcome is Outcome.REVERTED
    assert "came after its phase" in found.reason


def test_a_value_that_stood_in_its_phase_is_not_late() -> None:
    first = phase(file(*HELD))
    second = asked_later("70000", (REQUEST, NEW), (1_500, ELSE), (1_600, NEW))
    found = enforced.departure(second, Neighbours(before=first))
    assert found is not None
    assert "after its phase" not in found.reason
