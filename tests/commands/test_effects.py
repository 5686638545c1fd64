"""Which effects are watched and measured again, without a container; and one with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cgbench.commands import effects
from cgbench.commands.session import Session
from cgbench.engine import image
from cgbench.engine.connection import Answer
from cgbench.engine.engine import Engine
from cgbench.judging import undone
from cgbench.records.idle_findings import Effect, Felt, Interaction, Meeting
from cgbench.records.truth import TruthTable
from cgbench.records.verdict import Outcome
from cgbench.spec import workload
from cgbench.spec.option import Option, Settings
from cgbench.spec.options import OPTIONS
from tests.made import records, truth_tables
from tests.made.idle_supply import cat

OTHERS = ("cpus", "memory", "cpu-shares", "restart", "cpuset-cpus", "cpu-quota")


def pair(a: str, b: str, outcome: Meeting = Meeting.INDEPENDENT) -> Interaction:
    return Interaction(
        a=a, b=b, a_value=str(OPTIONS[a].example), b_value=str(OPTIONS[b].other), outcome=outcome,
        message="", a_changes=(), b_changes=(),
    )  # fmt: skip


def table(outcome: Outcome, *pairs: Interaction) -> TruthTable:
    row = truth_tables.row("pids-limit", outcome)
    return TruthTable(
        host=records.host(), started="2026-01-01T00:00:00+00:00", elapsed_s=1.0, rows=(row,),
        interactions=pairs,
    )  # fmt: skip


class Measured:
    """Stands for runs: each update is felt as the next entry of its option's list says."""

    def __init__(self, **felt: Sequence[Felt]) -> None:
        self.asked: list[list[list[str]]] = []
        self._felt = {name.replace("_", "-"): list(several) for name, several in felt.items()}

    def __call__(
        self, _option: str, walks: Sequence[Sequence[Option]], _session: Any
    ) -> dict[str, list[Effect]]:
        self.asked.append([[one.name for one in walk] for walk in walks])
        found: dict[str, list[Effect]] = {}
        for one in (one for walk in walks for one in walk):
            left = self._felt.get(one.name, [])
            found.setdefault(one.name, []).append(
                Effect(felt=left.pop(0) if left else Felt.KEPT, reason="so", metric="tasks_max",
                       unit="tasks")
            )  # fmt: skip
        return found


def watched(
    measured: Measured, monkeypatch: pytest.MonkeyPatch, found: TruthTable | None = None
) -> dict[str, Felt]:
    monkeypatch.setattr(effects, "_run", measured)
    if found is None:
        found = table(Outcome.EFFECTIVE, *(pair("pids-limit", name) for name in OTHERS))
    session: Any = None
    done = effects.watched(found, session)
    return {one.b: one.effect.felt for one in done.interactions if one.effect is not None}


def test_an_effect_that_is_kept_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured()
    assert set(watched(measured, monkeypatch).values()) == {Felt.KEPT}
    assert len(measured.asked) == 1


def test_a_disturbed_effect_is_measured_in_three_more_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = Measured(memory=[Felt.DISTURBED] * 4)
    found = watched(measured, monkeypatch)
    assert found["memory"] is Felt.DISTURBED
    assert measured.asked[1] == [["memory"]] * 3


def test_a_disturbance_that_does_not_come_again_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(memory=[Felt.DISTURBED, Felt.DISTURBED, Felt.KEPT, Felt.DISTURBED])
    assert watched(measured, monkeypatch)["memory"] is Felt.INCONCLUSIVE


def test_what_is_open_is_measured_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(memory=[Felt.INCONCLUSIVE, Felt.KEPT], cpus=[Felt.INCONCLUSIVE] * 2)
    found = watched(measured, monkeypatch)
    assert (found["memory"], found["cpus"]) == (Felt.KEPT, Felt.INCONCLUSIVE)
    assert measured.asked[1] == [["cpus", "memory"]]


def test_an_effect_that_hardly_ever_shows_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = {name.replace("-", "_"): [Felt.INCONCLUSIVE] for name in OTHERS[:4]}
    measured = Measured(**every)
    watched(measured, monkeypatch)
    assert len(measured.asked) == 1


def test_an_option_that_every_other_one_undoes_takes_no_longer_than_three(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = Measured(**{name.replace("-", "_"): [Felt.DISTURBED] * 4 for name in OTHERS})
    assert set(watched(measured, monkeypatch).values()) == {Felt.DISTURBED}
    assert len(measured.asked[1]) == 9


def test_where_one_of_those_three_holds_the_others_are_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = {name.replace("-", "_"): [Felt.DISTURBED] * 4 for name in OTHERS}
    several["memory"] = [Felt.DISTURBED]
    found = watched(Measured(**several), monkeypatch)
    assert sorted(found.values()).count(Felt.DISTURBED) == 2


@pytest.mark.parametrize("outcome", Outcome)
def test_only_an_option_that_was_in_force_by_itself_is_watched(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = Measured()
    watched(measured, monkeypatch, table(outcome, pair("pids-limit", "memory")))
    assert bool(measured.asked) is (outcome in effects._IN_FORCE)


def test_an_update_that_is_refused_beside_the_option_is_not_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = Measured()
    refused = table(Outcome.EFFECTIVE, pair("pids-limit", "memory", Meeting.REFUSED))
    assert watched(measured, monkeypatch, refused) == {}
    assert measured.asked == []


class Undoing(Engine):
    """A daemon whose update of shares lifts the limit on tasks, and says nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def update(self, container_id: str, settings: Settings) -> Answer:
        answer = super().update(container_id, settings)
        if "cpu-shares" in settings:
            (path,) = Path("/sys/fs/cgroup").rglob(f"*{container_id}*/pids.max")
            path.write_text("max")
            self.seen.append(cat(container_id, "pids.max"))
        return answer


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    engine = Engine()
    yield Session(engine, image.tag(workload.directory()), tmp_path, 1)
    assert engine.leftovers() == []
    engine.close()


@pytest.mark.docker
def test_a_limit_on_tasks_is_felt_as_before_while_others_are_updated(session: Session) -> None:
    found = effects.watched(
        table(
            Outcome.EFFECTIVE,
            pair("pids-limit", "cpu-shares"), pair("pids-limit", "memory-swap"),
        ),
        session,
    )  # fmt: skip
    assert len(found.interactions) == 2
    for one in found.interactions:
        assert one.effect is not None
        assert one.effect.felt is Felt.KEPT, one.effect.reason
        assert (one.effect.before, one.effect.after, one.effect.expected) == (64, 64, 64)
        assert one.effect.evidence is not None
        assert (session.results / "effect-of-pids-limit" / one.effect.evidence).is_dir()
    # A limit on swap needs one on memory, which is sent with it.
    reasons = [one.effect.reason for one in found.interactions if one.effect is not None]
    assert "after --cpu-shares 2048 tasks_max" in reasons[0]
    assert "after --memory-swap 448m --memory 64m tasks_max" in reasons[1]


@pytest.mark.docker
def test_a_limit_that_another_update_lifts_is_felt_and_reverts_the_row(tmp_path: Path) -> None:
    engine = Undoing()
    here = Session(engine, image.tag(workload.directory()), tmp_path, 1)
    found = effects.watched(table(Outcome.EFFECTIVE, pair("pids-limit", "cpu-shares")), here)
    assert engine.seen == ["max"] * 4, "measured, and three times again"
    (one,) = found.interactions
    assert one.effect is not None
    assert one.effect.felt is Felt.DISTURBED, one.effect.reason
    assert (one.effect.before, one.effect.expected) == (64, 64)
    assert one.effect.after is not None
    assert one.effect.after > 64
    row = undone.by_interactions(found).rows[0].verdict
    assert row.verdict is Outcome.REVERTED
    assert "was undone by --cpu-shares 2048: tasks_max was 64 tasks before" in row.reason
    assert engine.leftovers() == []
    engine.close()
