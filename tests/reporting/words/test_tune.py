"""What a search for a limit of memory says of less than suffices."""

from __future__ import annotations

from cgbench.records.tune import Observation, Tuned
from cgbench.reporting.words import tune as words
from tests.made import searches


def observed(mib: int, *, met: bool, refaults: float | None, reason: str | None = None) -> object:
    metrics = {} if refaults is None else {"refaults_per_s": refaults}
    return Observation(
        limit=mib * 2**20, value=5.0, met=met, reason=reason, metrics=metrics,
        run=searches.RUN, phase=mib,
    )  # fmt: skip


def searched(*many: object, limit: str = "memory") -> Tuned:
    return searches.found().model_copy(update={"limit": limit, "observations": many})


def test_pages_that_are_read_again_are_told_before_an_end() -> None:
    said = words.shortage(searched(
        observed(256, met=True, refaults=0.0),
        observed(128, met=True, refaults=44.0),
        observed(112, met=True, refaults=0.0),
        observed(96, met=True, refaults=9.0),
        observed(80, met=False, refaults=400.0),
        observed(48, met=False, refaults=21_000.0),
        observed(16, met=False, refaults=None, reason="killed by the kernel"),
    ))  # fmt: skip
    assert said == (
        "pages were taken away and read again with 80 MiB and less, 21,000 a second with 48 MiB; "
        "with 16 MiB a process was killed, or the limit was refused"
    )


def test_what_was_killed_without_a_warning_is_said_so() -> None:
    said = words.shortage(searched(
        observed(256, met=True, refaults=0.0),
        observed(16, met=False, refaults=None, reason="killed by the kernel"),
    ))  # fmt: skip
    assert said is not None
    assert said.startswith(
        "no page that was taken away was read again; with 16 MiB a process was killed"
    )


def test_what_was_not_read_is_not_said() -> None:
    assert words.shortage(searched(observed(256, met=True, refaults=None))) is None
    again = observed(256, met=False, refaults=400.0)
    assert words.shortage(searched(again, limit="cpus")) is None
    assert not [line for line in words.lines(searches.found()) if "read again" in line]
