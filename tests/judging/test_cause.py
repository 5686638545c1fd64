"""Why a container ended or is held back: the right level, and no more than is known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cgbench.judging.cause import explain, with_kept
from cgbench.records.cause import (
    Cause,
    Counts,
    DockerEvent,
    Explained,
    ForkRefusal,
    OomKill,
    Past,
    Traces,
    UserTasks,
    What,
)
from cgbench.records.watch import Mark
from cgbench.spec.group_name import own_group

ID = "ab" * 32
OWN, PARENT = f"/docker/{ID}", "/docker"
BEGIN, END = 1000.0, 1100.0


def past(**more: Any) -> Past:
    usual = {
        "id": ID, "name": "web", "status": "exited", "exit_code": 137, "started": BEGIN,
        "finished": END, "command": ("python3", "app.py"),
    }  # fmt: skip
    return Past.model_validate(usual | more)


def kill(at: float = END - 0.1, out: str | None = OWN, **more: Any) -> OomKill:
    usual = {
        "at": at, "out": out, "group": OWN, "task": "python3", "pid": 7,
        "constraint": "CONSTRAINT_MEMCG" if out else "CONSTRAINT_NONE",
    }  # fmt: skip
    return OomKill.model_validate(usual | more)


def event(action: str, at: float = END, **attributes: str) -> DockerEvent:
    return DockerEvent(at=at, container_id=ID, action=action, attributes=attributes)


DIED = event("die", exitCode="137")


def ended(
    *kills: OomKill, events: tuple[DockerEvent, ...] = (DIED,), log_since: float | None = 0.0,
    **more: Any,
) -> Explained:  # fmt: skip
    return explain(Traces(past=past(**more), kills=kills, log_since=log_since, events=events))


def first(found: Explained) -> Cause:
    return found.causes[0]


@pytest.mark.parametrize(
    ("out", "level"),
    [
        (OWN, "container"),
        (f"{OWN}/worker", "inside"),
        (PARENT, "ancestor"),
        ("/", "ancestor"),
        (None, "host"),
    ],
)
def test_the_level_whose_memory_ran_out_is_the_one_that_the_kernel_names(
    out: str | None, level: str
) -> None:
    found = ended(kill(out=out))
    cause = first(found)
    assert (cause.what, cause.limit, cause.level, cause.path) == (
        What.KILLED, "memory", level, out,
    )  # fmt: skip
    assert cause.sure
    assert found.limited
    assert found.unknown == ()


def test_memory_nodes_that_were_full_are_no_limit_of_bytes() -> None:
    cause = first(ended(kill(out=None, constraint="CONSTRAINT_CPUSET")))
    assert (cause.limit, cause.level) == ("memory-nodes", "container")


@pytest.mark.parametrize(
    "path",
    [OWN, f"/system.slice/docker-{ID}.scope", f"/machine.slice/libpod-{ID}.scope", f"/a/b/{ID}"],
)
def test_a_group_is_the_containers_by_its_identity(path: str) -> None:
    assert own_group(f"{path}/inside/it", ID) == path
    cause = first(ended(kill(out=path, group=path)))
    assert cause.level == "container"


@pytest.mark.parametrize("path", ["/docker", f"/docker/{ID[:-1]}", f"/docker/x{ID}", f"/fake-{ID}"])
def test_another_group_is_nobodys_death(path: str) -> None:
    assert own_group(path, ID) is None
    cause = first(ended(kill(out=path, group=path)))
    assert cause.what is What.SIGNAL
    assert cause.limit is None


def test_a_plain_kill_is_no_memory_limit() -> None:
    found = ended()
    assert first(found).what is What.SIGNAL
    assert "SIGKILL that did not come through Docker" in first(found).reason
    assert first(found).sure
    assert not found.limited


def test_an_earlier_kill_of_a_child_did_not_end_it() -> None:
    found = ended(kill(at=BEGIN + 20))
    assert [one.what for one in found.causes] == [What.SIGNAL, What.CHILD_KILLED]
    assert found.causes[1].level == "container"


def test_a_kill_of_an_earlier_life_is_not_of_this_one() -> None:
    found = ended(kill(at=BEGIN - 50))
    assert [one.what for one in found.causes] == [What.SIGNAL]


def test_a_program_that_ends_since_its_child_was_killed_probably_did_so_for_that() -> None:
    found = ended(kill(), exit_code=1, events=(event("die", exitCode="1"),))
    assert first(found).what is What.CHILD_KILLED
    assert not first(found).sure
    assert "ended with status 1 right after" in first(found).reason


def test_where_nothing_is_left_that_names_the_level_it_is_not_guessed() -> None:
    found = ended(oom_killed=True, log_since=END + 500)
    cause = first(found)
    assert (cause.what, cause.limit, cause.level, cause.sure) == (
        What.KILLED, "memory", "none", False,
    )  # fmt: skip
    assert found.unknown == ("the kernel's log of that time is not there any more",)
    assert not found.known


def test_without_log_and_events_a_plain_kill_is_a_guess() -> None:
    found = explain(Traces(past=past(), kills=None, events=None))
    assert first(found).what is What.SIGNAL
    assert not first(found).sure
    assert len(found.unknown) >= 3
    assert not found.known


def test_a_kill_that_names_no_group_makes_the_rest_a_guess() -> None:
    found = ended(kill(out=None, group=None, constraint=""))
    assert first(found).what is What.SIGNAL
    assert not first(found).sure
    assert any("does not say of which container" in one for one in found.unknown)


@pytest.mark.parametrize(
    ("code", "events", "says"),
    [
        (137, (event("kill", END - 0.1, signal="9"), DIED), "send it SIGKILL"),
        (143, (event("kill", END - 0.1, signal="SIGTERM"), DIED), "send it SIGTERM"),
        (0, (event("kill", END - 9.9, signal="15"), DIED, event("stop", END + 0.1)), "stop it"),
        (137, (event("kill", END - 10, signal="15"), event("kill", END - 0.1, signal="9"), DIED,
               event("stop", END + 0.1)), "stop it"),
    ],
)  # fmt: skip
def test_who_asked_docker_is_told_of(code: int, events: tuple[DockerEvent, ...], says: str) -> None:
    found = ended(exit_code=code, events=events)
    assert first(found).what is What.ASKED
    assert says in first(found).reason
    assert not found.limited


def test_a_signal_that_did_not_end_it_is_not_the_cause() -> None:
    hup = event("kill", BEGIN + 5, signal="1")
    found = ended(exit_code=1, events=(hup, event("die", exitCode="1")))
    assert first(found).what is What.EXIT
    assert "by itself with status 1" in first(found).reason


def test_a_kill_for_memory_while_it_was_being_stopped_is_told_second() -> None:
    events = (event("kill", END - 0.05, signal="9"), DIED)
    found = ended(kill(at=END - 1), events=events)
    assert [one.what for one in found.causes] == [What.ASKED, What.CHILD_KILLED]


def test_a_signal_before_the_memory_ran_out_is_not_what_ended_it() -> None:
    events = (event("kill", END - 1.5, signal="9"), DIED)
    assert first(ended(kill(at=END - 0.1), events=events)).what is What.KILLED


def test_its_own_deadline_is_no_limit() -> None:
    command = ("timeout", "--signal=KILL", "100", "python3")
    assert first(ended(command=command)).what is What.DEADLINE
    early = ended(command=command, finished=BEGIN + 50, events=(event("die", BEGIN + 50),))
    assert first(early).what is What.SIGNAL, "it was not due yet"


def test_one_that_never_ran_says_why() -> None:
    error = 'exec: "nope": executable file not found'
    for more in ({"status": "created", "started": None}, {"exit_code": 127}):
        found = ended(error=error, **more)
        assert first(found).what is What.NEVER_STARTED
        assert error in first(found).reason


def test_status_255_is_no_signal() -> None:
    assert first(ended(exit_code=255)).what is What.EXIT


def counts(path: str = OWN, **values: int) -> Counts:
    return Counts(path=path, values=values)


def running(*groups: Counts, before: tuple[Counts, ...] = (), **more: Any) -> Explained:
    one = past(status="running", exit_code=0, finished=None, pid=7)
    return explain(
        Traces(past=one, groups=groups, before=before, seconds=1.0, **({"log_since": 0.0} | more))
    )


def test_one_that_nothing_holds_back_has_no_cause() -> None:
    found = running(counts(periods=100, throttled_periods=0, limit_hits=0, tasks=3))
    assert found.causes == ()
    assert found.known
    assert not found.limited


def test_throttling_is_of_the_level_that_counts_it_and_of_late_where_that_is_known() -> None:
    own = counts(periods=100, throttled_periods=90)
    above = counts(PARENT, periods=200, throttled_periods=100)
    found = running(
        own, above,
        before=(own, counts(PARENT, periods=190, throttled_periods=92)),
    )  # fmt: skip
    assert [(one.what, one.level, one.path) for one in found.causes] == [
        (What.THROTTLED, "container", OWN), (What.THROTTLED, "ancestor", PARENT),
    ]  # fmt: skip
    assert "90 of 100 periods so far" in found.causes[0].reason
    assert "8 of 10 periods over the last 1 s (80 %)" in found.causes[1].reason


def test_a_burst_now_and_then_is_not_told() -> None:
    assert running(counts(periods=1000, throttled_periods=3)).causes == ()


def test_a_memory_limit_that_is_reached_takes_pages() -> None:
    own = counts(limit_hits=40, memory_bytes=2**26, memory_max=2**26)
    found = running(own, before=(counts(limit_hits=10),))
    assert first(found).what is What.RECLAIMED
    assert "30 times over the last 1 s (64 MiB of 64 MiB used)" in first(found).reason


def test_far_below_a_limit_that_was_reached_nothing_is_said_to_be_taken_now() -> None:
    """Seen in the lab: a child had just been killed, and 648 KiB of 32 MiB were used."""
    own = counts(limit_hits=67, memory_bytes=648 * 1024, memory_max=2**25)
    found = running(own, before=(counts(limit_hits=0),))
    assert "took pages from it, or killed" in first(found).reason


@pytest.mark.parametrize(("path", "level"), [(OWN, "container"), (PARENT, "ancestor")])
def test_where_nobody_may_be_killed_for_memory_it_is_waited_for(path: str, level: str) -> None:
    full = {"under_oom": 1, "memory_bytes": 2**25, "memory_max": 2**25}
    groups = [counts(one, **(full if one == path else {"under_oom": 0})) for one in (OWN, PARENT)]
    found = first(running(*groups))
    assert (found.what, found.limit, found.level) == (What.WAITING, "memory", level)
    assert "the OOM killer is switched off" in found.reason
    assert "under_oom 1" in found.evidence[0]


def test_where_the_kernel_does_not_count_that_pages_that_came_back_tell_it() -> None:
    at_limit: dict[str, Any] = {"memory_bytes": 2**26, "memory_peak": 2**26, "memory_max": 2**26}
    found = running(counts(**at_limit, refaults=500), before=(counts(refaults=100),))
    assert first(found).what is What.RECLAIMED
    assert "has been reached (64 MiB of 64 MiB used), and 400 pages" in first(found).reason
    assert running(counts(**at_limit, refaults=0)).causes == (), "a full page cache hurts nobody"
    below = {**at_limit, "memory_peak": 2**20}
    assert running(counts(**below, refaults=500)).causes == (), "they came back for another reason"


def test_children_that_were_killed_are_told_of_one_that_goes_on() -> None:
    found = running(counts(oom_kills=1), kills=(kill(at=BEGIN + 5, out=PARENT),))
    assert (first(found).what, first(found).level) == (What.CHILD_KILLED, "ancestor")
    by_counters = running(
        counts(oom_kills=1, out_of_memory=0), counts(PARENT, out_of_memory=1), kills=()
    )
    assert (first(by_counters).level, first(by_counters).path) == ("ancestor", PARENT)


def test_refused_forks_are_of_the_level_that_is_full() -> None:
    own = counts(refused_forks=4, tasks=20, tasks_max=50)
    full = counts(PARENT, tasks=100, tasks_max=100)
    assert (first(running(own, full)).level, first(running(own, full)).path) == (
        "ancestor", PARENT,
    )  # fmt: skip
    alone = running(counts(refused_forks=4, tasks=20, tasks_max=50))
    assert (first(alone).level, first(alone).sure) == ("container", True)
    two = running(own, counts(PARENT, tasks=60, tasks_max=100))
    assert (first(two).level, first(two).sure) == ("none", False)


def test_the_limit_of_a_user_counts_tasks_of_other_containers() -> None:
    user = UserTasks(uid=1000, pid=7, limit=50, tasks=50, inside=10, exempt=False)
    found = running(counts(tasks=10), users=(user,))
    assert (first(found).what, first(found).limit, first(found).level) == (
        What.FORK_REFUSED, "processes-of-user", "user",
    )  # fmt: skip
    assert "50: 10 in it, 40 elsewhere" in first(found).reason
    exempt = user.model_copy(update={"exempt": True})
    assert running(counts(tasks=10), users=(exempt,)).causes == ()


def test_a_paused_container_says_so() -> None:
    one = past(status="paused", exit_code=0, finished=None, pid=7)
    assert explain(Traces(past=one, log_since=0.0)).causes[0].what is What.FROZEN


def test_one_that_runs_again_says_how_its_last_life_ended() -> None:
    events = (event("start", BEGIN - 100), event("die", BEGIN - 2, exitCode="137"))
    found = running(
        counts(tasks=1), events=events, kills=(kill(at=BEGIN - 2.1),)
    )  # fmt: skip
    assert [one.what for one in found.causes] == [What.KILLED]


def test_a_life_that_follows_at_once_has_no_kills_of_the_one_before() -> None:
    """A policy starts a container again within 100 ms."""
    events = (event("start", BEGIN - 1), event("die", BEGIN - 0.2, exitCode="137"))
    found = running(counts(tasks=1), events=events, kills=(kill(at=BEGIN - 0.3),))
    assert [one.what for one in found.causes] == [What.KILLED]
    again = (*events, event("start", BEGIN), event("die", BEGIN + 0.5, exitCode="3"))
    found = ended(kill(at=BEGIN - 0.3), events=again, exit_code=3, finished=BEGIN + 0.5)
    assert [one.what for one in found.causes] == [What.EXIT]


def test_one_that_was_removed_is_known_by_its_events() -> None:
    gone = Past(id=ID, name="web", status="removed")
    events = (event("start", BEGIN), DIED, event("destroy", END + 1))
    found = explain(Traces(past=gone, kills=(kill(),), log_since=0.0, events=events))
    assert [one.what for one in found.causes] == [What.KILLED, What.REMOVED]


def test_a_kill_of_one_that_was_removed_is_told_where_docker_remembers_nothing_else() -> None:
    gone = Past(id=ID, name="web", status="removed")
    events, others = (event("destroy", END + 1),), kill(group="/docker/" + "cd" * 32)
    found = explain(Traces(past=gone, kills=(kill(out=PARENT), others), log_since=0.0,
                           events=events))  # fmt: skip
    assert [one.what for one in found.causes] == [What.KILLED, What.REMOVED]
    assert (first(found).level, first(found).sure) == ("ancestor", False)
    assert "nobody remembers whether it went on" in first(found).reason
    assert found.limited
    nothing = explain(Traces(past=gone, kills=(others,), log_since=0.0, events=events))
    assert [one.what for one in nothing.causes] == [What.REMOVED]
    assert (nothing.limited, nothing.known) == (False, False)
    assert "Docker has forgotten how it ended" in nothing.unknown[0]
    sure = first(ended(kill()))
    mark = Mark(kind="ended", at="2026-01-01T00:00:00+00:00", id=ID, name="web", cause=sure)
    assert first(with_kept(nothing, [mark])).what is What.KILLED, "the log of watch knows more"


def test_an_end_without_a_status_is_not_taken_for_a_good_one() -> None:
    gone = Past(id=ID, name="web", status="removed")
    events = (event("start", BEGIN), event("die"), event("destroy", END + 1))
    found = explain(Traces(past=gone, log_since=0.0, events=events))
    assert [one.what for one in found.causes] == [What.REMOVED]
    assert not found.known
    again = (event("start", BEGIN - 100), event("die", BEGIN - 2))
    assert running(counts(tasks=1), events=again).causes == ()


def test_what_was_known_at_that_moment_stands_in_for_what_is_not_any_more() -> None:
    forgotten = ended(oom_killed=True, log_since=END + 500)
    sure = first(ended(kill(out=PARENT)))
    marks = [
        Mark(kind="ended", at="2026-01-01T00:00:00+00:00", id=ID, name="web", cause=sure),
        Mark(kind="ended", at="2026-01-02", id="other", name="db", cause=first(ended())),
    ]
    found = with_kept(forgotten, marks)
    assert (first(found).level, first(found).sure) == ("ancestor", True)
    assert first(found).evidence[-1] == "cgbench watch: 2026-01-01T00:00:00+00:00 ended"
    assert found.known
    assert len(found.causes) == len(forgotten.causes) + 1
    later = datetime(2026, 1, 1, 1, tzinfo=UTC).timestamp()
    assert with_kept(forgotten, marks, later) == forgotten, "that was an earlier life"
    known = ended(kill())
    assert with_kept(known, marks) == known, "what is sure now needs no memory"
    assert with_kept(forgotten, ()) == forgotten


def refused(*at: float, status: int = 2, group: str = OWN) -> Explained:
    found = tuple(ForkRefusal(at=one, group=group) for one in at)
    return explain(Traces(past=past(exit_code=status), log_since=0.0, events=(
        event("die", exitCode=str(status)),
    ), refusals=found))  # fmt: skip


@pytest.mark.parametrize(
    ("group", "level"), [(OWN, "container"), (f"{OWN}/worker", "inside")]
)  # fmt: skip
def test_a_refused_fork_probably_ended_one_that_failed_after_it(group: str, level: str) -> None:
    found = refused(END - 3, group=group)
    assert [one.what for one in found.causes] == [What.FORK_REFUSED, What.EXIT]
    cause = first(found)
    assert (cause.limit, cause.level, cause.path, cause.sure) == ("pids", level, group, False)
    assert "3.0 s later it ended with status 2" in cause.reason
    assert "fork rejected by pids controller in /docker/" in cause.evidence[0]
    assert "no limit ended it" not in found.causes[1].reason
    assert found.limited


def test_a_refused_fork_of_another_life_or_container_ended_nothing() -> None:
    for found in (
        refused(BEGIN - 50), refused(END + 50), refused(END - 1, group=PARENT),
        refused(END - 1, group="/docker/" + "cd" * 32), refused(END - 1, status=0),
    ):  # fmt: skip
        assert [one.what for one in found.causes] == [What.EXIT]
        assert not found.limited
