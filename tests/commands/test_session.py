"""A session: the host for itself, cleaned first, and the daemon closed whatever happens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from cgbench.commands import clean, session
from cgbench.engine.engine import Engine
from cgbench.errors import ImageError, PreconditionError
from cgbench.host import lock, preconditions


class Images:
    def has_image(self, _tag: str) -> bool:
        return False


class Daemon:
    """A daemon without images; what is done with it is written down."""

    images = Images()

    def __init__(self, events: list[str]) -> None:
        self._events = events
        events.append("opened")

    def close(self) -> None:
        self._events.append("closed")


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a session does with a host that is all made up."""
    found: list[str] = []
    taken = lock.exclusively
    monkeypatch.setattr(preconditions, "require_measurable", lambda: found.append("asked"))
    monkeypatch.setattr(lock, "exclusively", lambda **how: taken(tmp_path / "lock", **how))
    monkeypatch.setattr(session, "Engine", lambda: Daemon(found))

    def make_room(_engine: Engine) -> list[str]:
        found.append("cleaned")
        return ["cannot remove that."]

    monkeypatch.setattr(clean, "make_room", make_room)
    return found


def test_a_session_asks_the_host_cleans_it_and_closes_the_daemon(
    events: list[str], tmp_path: Path
) -> None:
    with session.opened(tmp_path, seed=7) as here:
        events.append("measured")
        assert (here.seed, here.results) == (7, tmp_path)
        assert here.image.startswith("cgbench/workload:")
    assert events == ["asked", "opened", "cleaned", "measured", "closed"]


def test_what_stays_and_disturbs_not_is_shown_and_the_run_goes_on(
    events: list[str], tmp_path: Path
) -> None:
    with session.opened(tmp_path, remark=events.append):
        events.append("measured")
    assert events == [
        "asked", "opened", "cleaned", "cannot remove that.", "measured", "closed",
    ]  # fmt: skip


def test_a_session_that_fails_closes_the_daemon_and_frees_the_host(
    events: list[str], tmp_path: Path
) -> None:
    with pytest.raises(KeyError), session.opened(tmp_path):
        raise KeyError
    assert events[-1] == "closed"
    with session.opened(tmp_path):
        pass


def test_a_second_session_is_refused_before_it_touches_anything(
    events: list[str], tmp_path: Path
) -> None:
    with session.opened(tmp_path):
        del events[:]
        with (
            pytest.raises(PreconditionError, match="another cgbench"),
            session.opened(tmp_path),
        ):
            pass
        assert events == ["asked"]


def test_seeds_are_drawn_and_runs_are_named_anew(events: list[str], tmp_path: Path) -> None:
    seeds, names = set(), set()
    for _ in range(3):
        with session.opened(tmp_path) as here:
            seeds.add(here.seed)
            names |= {here.site().run, here.site().run}
    assert len(seeds) == 3
    assert len(names) == 6


def test_a_missing_image_is_named_with_the_next_move(tmp_path: Path) -> None:
    here = session.Session(cast(Engine, Daemon([])), "cgbench/workload:x", tmp_path, 1)
    with pytest.raises(ImageError, match="cgbench/workload:x is missing") as caught:
        here.require_image(here.image)
    assert caught.value.advice == "Build it: cgbench image build."


def test_what_measures_loads_nothing_that_only_judging_and_drawing_need() -> None:
    program = (
        "import sys; import cgbench.cli.live\n"
        "from cgbench.commands import ab, clean, doctor, gate, image, run, session, verify\n"
        "heavy = {'pandas', 'plotly', 'scipy', 'tsdownsample', 'pyarrow', 'otava', 'jinja2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
