"""An expectation of limits holds only where the effective limit does, and is refused if unclear."""

from __future__ import annotations

import pytest

from cgbench.errors import OptionError
from cgbench.judging.expectations import missed, parse
from cgbench.records.audit import Audit, Audited, Bound, Found, Limit, LimitName


def container(**effective: float | None) -> Audit:
    limits = tuple(
        Limit(limit=name, declared=None, expected={}, files={}, effective=value,
              bound_by=Bound(kind="container"), felt={}, finding=Found.IN_FORCE, reason="")
        for name, value in effective.items()
    )  # fmt: skip
    one = Audited(
        id="abc", name="web", image="x", state="running", manager=None, limits=limits
    )  # fmt: skip
    return Audit(hostname="h", at="2026-01-01", seconds=0.1, containers=(one,))


def said(text: str, **effective: float | None) -> list[str]:
    return [one.reason for one in missed(parse(text), container(**effective))]


def test_what_is_within_what_is_expected_misses_nothing() -> None:
    assert said("cpus<=1 memory<=512m pids>=10", cpus=0.5, memory=2.0**29, pids=10.0) == []


def test_what_is_beyond_it_is_named_with_both() -> None:
    assert said("cpus<=1", cpus=1.5) == ["cpus<=1 is expected, and 1.5 is the most"]
    assert said("memory<=32m", memory=2.0**26) == [
        "memory<=32m is expected, and 64 MiB is the most"
    ]
    assert said("pids==100", pids=99.0) == ["pids==100 is expected, and 99 is the most"]


def test_no_limit_is_more_than_any() -> None:
    assert said("pids<=100", pids=None) == ["pids<=100 is expected, and nothing limits it"]
    assert said("pids>=100", pids=None) == []


def test_a_container_that_was_not_read_misses_all() -> None:
    audit = container(cpus=1.0)
    unread = audit.containers[0].model_copy(update={"unread": "it ended", "limits": ()})
    audit = audit.model_copy(update={"containers": (unread,)})
    assert [one.model_dump() for one in missed(parse("cpus<=1 pids<=9"), audit)] == [
        {"container": "web", "limit": limit, "expected": text, "effective": None,
         "reason": f"{text} is expected, and it was not read: it ended"}
        for limit, text in (("cpus", "cpus<=1"), ("pids", "pids<=9"))
    ]  # fmt: skip
    assert list(missed((), audit)) == [], "nothing was expected of it"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing is expected"), ("cpus", "'cpus' is no expectation"),
        ("cpus < 1", "'cpus' is no expectation"), ("cpu<=1", "no limit 'cpu'"),
        ("memory<=much", "'much' in 'memory<=much' is no number"),
        ("cpus<=1x", "'1x' in 'cpus<=1x' is no number"), ("cpuset==0", "no limit 'cpuset'"),
    ],
)  # fmt: skip
def test_what_is_unclear_is_refused_with_an_example(text: str, says: str) -> None:
    with pytest.raises(OptionError, match=says.replace("(", "\\(")):
        parse(text)


def test_every_name_of_an_error_is_a_limit() -> None:
    with pytest.raises(OptionError) as error:
        parse("nothing<=1")
    assert set((error.value.advice or "").removeprefix("Limits: ").rstrip(".").split(", ")) <= set(
        LimitName.__args__  # type: ignore[attr-defined]
    )
