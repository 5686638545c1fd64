"""A real container that is watched: an update, a foreign writer, a kill and its end are marked."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from cgbench.commands.chosen import Wanted
from cgbench.commands.watch import Watch
from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.host import cgroups
from cgbench.records.audit import Found
from cgbench.records.watch import Mark
from cgbench.spec import workload
from cgbench.spec.option import Settings
from tests.bench import drills
from tests.bench.drills import Drill

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

PATIENCE_S = 30.0


def until(watch: Watch, fits: Callable[[Mark], bool]) -> Mark:
    """Look until there is a mark that fits."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        for mark in watch.look().marks:
            if fits(mark):
                return mark
        time.sleep(0.05)
    pytest.fail("no such mark came")


def test_who_changed_a_limit_is_told_and_whether_docker_declares_it(engine: Engine) -> None:
    tag = image.tag(workload.directory())
    drill = Drill("watched", {"PidsLimit": 50}, "pids", Found.IN_FORCE, "container")
    with drills.running(engine, tag, 95, drill) as name, Watch(Wanted([name]), Engine) as watch:
        (before,) = watch.look().readings
        assert before.tasks_limit == 50
        asked: Settings = {"pids-limit": 60}
        engine.update(before.id, asked)
        update = until(watch, lambda mark: mark.kind == "changed")
        assert (update.before, update.after, update.finding) == ("50", "60", Found.IN_FORCE)
        assert (update.just_before or "").startswith("docker update")
        inspected = engine.inspected(before.id)
        assert inspected is not None
        file = cgroups.find(inspected.pid).path("pids", "pids.max")
        # What Docker did must be longer ago than what is taken for a reason.
        time.sleep(3.5)
        file.write_text("33\n")
        foreign = until(watch, lambda mark: mark.kind == "changed")
        assert (foreign.before, foreign.after, foreign.finding) == ("60", "33", Found.DIFFERS)
        assert foreign.path == str(file)
        assert not (foreign.just_before or "").startswith("docker update,")
        assert watch.look().readings[0].tasks_limit == 33
        subprocess.run(["docker", "kill", name], check=True, stdout=subprocess.DEVNULL)
        ended = until(watch, lambda mark: mark.kind == "ended")
        assert "somebody asked Docker" in ended.reason
