"""Real containers that were tampered with get the finding that was stated by hand; others none."""

from __future__ import annotations

import pytest

from cgbench.commands import audit
from cgbench.commands.chosen import Wanted
from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.host import cgroups
from cgbench.records.audit import Found
from cgbench.spec import workload
from tests.bench import drills
from tests.bench.drills import Drill

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

EVERY = {one.name: one for one in drills.drills(cgroups.at("/").version("memory"), Found.NO_EFFECT)}
SOME = (
    "cpus tampered", "memory undeclared", "tasks below a narrow group", "set and affinity",
    "more CPUs than the set",
)  # fmt: skip


@pytest.fixture(scope="module")
def tag() -> str:
    return image.tag(workload.directory())


@pytest.mark.parametrize("name", SOME)
def test_what_was_done_is_found_where_it_was_done(engine: Engine, tag: str, name: str) -> None:
    drill = EVERY[name]
    with drills.running(engine, tag, SOME.index(name), drill) as container:
        (found,) = audit.audit(Wanted([container]), engine).containers
    assert found.unread is None
    assert drills.wrong(drill, found) is None


@pytest.mark.parametrize("name", ["nothing", "quota-and-period", "all"])
def test_an_honest_container_has_no_finding(engine: Engine, tag: str, name: str) -> None:
    drill = Drill(name, drills.HONEST[name], "cpus", Found.IN_FORCE, "container")
    with drills.running(engine, tag, 90, drill) as container:
        found = audit.audit(Wanted([container]), engine, for_s=0.2)
    assert [limit.reason for _, limit in found.findings] == []
    assert found.containers[0].unread is None
