"""A made disturbance uses or takes its share, and leaves nothing stopped."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from cgbench.host import procfs
from tests.bench import lies
from tests.bench.disturbance import disturbed
from tests.bench.spoiled import Case


def state(pid: int) -> str:
    found = procfs.process(pid)
    assert found is not None
    return found.state


def test_a_hog_says_how_much_it_used() -> None:
    with disturbed("hog") as made:
        time.sleep(1)
    assert 0 < made.pct < 50


def test_a_sampler_is_stopped_now_and_then_and_goes_on_in_the_end(tmp_path: Path) -> None:
    sampler = tmp_path / "sampler_process.py"
    sampler.write_text("import time\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, str(sampler)]) as process:
        try:
            stops, before = 0, ""
            with disturbed("stops") as made:
                limit = time.monotonic() + 30
                while stops < 3 and time.monotonic() < limit:
                    before, now = state(process.pid), before
                    stops += before == "T" != now
            assert stops == 3
            assert 0 < made.pct < 100
            assert state(process.pid) != "T"
        finally:
            process.kill()


def test_load_may_not_leave_open_what_it_cannot_make() -> None:
    every = [case for case in lies.cases(lies.KINDS, ()) if isinstance(case, Case)]
    firm = {case.name for case in every if case.firm}
    assert {"dropped × memory", "halved × cpu-quota", "refused × restart"} <= firm
    assert firm.isdisjoint({"honest × cpu-quota", "× 1.03 × cpus", "every second refused × cpus"})
    assert firm.isdisjoint({"honest × memory-reservation", "× 1.03 × memory-reservation"})
    assert len(firm) >= 120
