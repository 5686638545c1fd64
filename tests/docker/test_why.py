"""Real containers that ended or are held back: the cause that was stated by hand is said."""

from __future__ import annotations

import pytest

from cgbench.commands.why import why
from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.host import cgroups
from cgbench.spec import workload
from tests.bench import deaths

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

EVERY = {one.name: one for one in deaths.deaths(cgroups.at("/").version("memory"))}
SOME = (
    "own memory", "less memory above than its own", "a child that was killed", "a plain kill",
    "docker stop", "no such program", "tasks of the group above", "nothing at all",
)  # fmt: skip


@pytest.mark.parametrize("name", SOME)
def test_what_was_done_is_said_with_whose_limit_it_was(engine: Engine, name: str) -> None:
    death, tag = EVERY[name], image.tag(workload.directory())
    with deaths.died(engine, tag, SOME.index(name), death) as container:
        found = why(container, engine)
    assert deaths.wrong(death, found) is None
