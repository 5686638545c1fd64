"""A few rounds of `make chaos`: however cgbench is ended, nothing stays and nothing is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from cgbench.engine import image
from cgbench.spec import workload
from tests.bench import decoys
from tests.bench.chaos import Campaign

pytestmark = pytest.mark.docker


def test_nothing_is_left_lost_or_touched_when_cgbench_is_killed(tmp_path: Path) -> None:
    with decoys.planted(image.tag(workload.directory())):
        # By this seed: a run with swap, an ab that has finished trials, a run of many tasks.
        campaign = Campaign(tmp_path, seed=1618)
        for number in (signal.SIGKILL, signal.SIGHUP, signal.SIGTERM):
            done, faults = campaign.round(number)
            assert faults == [], done
