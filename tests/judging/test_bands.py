"""A container that is ended at once had not grown up to its limit: it was above it already."""

from __future__ import annotations

import pytest

from cgbench.judging.bands import Bands
from cgbench.records.run import Row
from cgbench.records.trial import Ending
from cgbench.units import NS_PER_MS
from tests.made import records

MIB = 2**20


@pytest.mark.parametrize(
    ("model", "after_ms", "within"),
    [
        ("Model 1", 100, None), ("Model 1", 400, False), ("QEMU TCG CPU version 2.5+", 400, None),
        # Met in the lab: 48m below use were wrong, since the kernel took 0.6 s.
        ("QEMU TCG CPU version 2.5+", 600, None), ("QEMU TCG CPU version 2.5+", 2000, False),
    ],
)  # fmt: skip
def test_how_soon_is_at_once_depends_on_whether_the_cpu_is_emulated(
    model: str, after_ms: int, within: bool | None
) -> None:
    (phase,) = records.trial().phases
    ended = Ending(
        role="worker", t_ns=phase.change.in_force_ns + after_ms * NS_PER_MS, exit_code=137,
        oom_killed=True, reason="killed",
    )  # fmt: skip
    phase = phase.model_copy(update={"ending": ended})
    trial = records.trial().model_copy(update={"phases": (phase,)})
    record = records.run(host=records.host(cpu_model=model))
    key = phase.point()
    row = Row("x", 1, 1, key.role, key.option, key.via, key.requested, key.note, None,
              "memory_max_bytes", "bytes", 48.0 * MIB, 4.0 * MIB, -90.0, 100)  # fmt: skip
    held = Bands(record, [trial]).held([row], 4.0 * MIB, 48.0 * MIB)
    assert held is not None
    assert held.within is within
