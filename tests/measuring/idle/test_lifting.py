"""Lifting a limit: what is tried, what a made-up daemon makes of it, and what real ones do."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgbench.engine.connection import Answer
from cgbench.measuring.idle import lifting
from cgbench.measuring.idle.containers import Idle, Limits, Supply
from cgbench.measuring.idle.lifting import declared, meant, ways
from cgbench.records.idle_findings import Held, Lifting
from cgbench.spec.option import Interface, Option
from cgbench.spec.options import OPTIONS, option, update_body
from tests.made import idle_supply

LIMITS = ("cpus", "cpu-quota", "memory", "memory-reservation", "memory-swap", "pids-limit")
FIELDS = {one.field: name for name, one in OPTIONS.items()}


# What is tried: pure


def test_whatever_limits_is_lifted_and_nothing_else() -> None:
    assert tuple(name for name in OPTIONS if ways(name, 2)) == LIMITS


@pytest.mark.parametrize("name", [name for name in LIMITS if OPTIONS[name].lifted is not None])
def test_an_option_with_a_value_that_lifts_is_lifted_by_it(name: str) -> None:
    assert any(way.by == {name: OPTIONS[name].lifted} for way in ways(name, 2))


def test_cpus_are_lifted_by_another_option_and_by_all_that_the_host_has() -> None:
    assert [way.by for way in ways("cpus", 16)] == [{"cpu-quota": -1}, {"cpus": "16"}]


def test_no_swap_at_all_is_lifted_and_a_quota_over_another_period() -> None:
    assert {"memory": "64m", "memory-swap": "64m"} in [way.limit for way in ways("memory-swap", 2)]
    assert any(way.limit.get("cpu-period") == 200_000 for way in ways("cpu-quota", 2))


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_can_be_sent_and_is_whole_pages_of_any_host(name: str) -> None:
    for way in ways(name, 2):
        for field, number in {**update_body(way.limit), **update_body(way.by)}.items():
            if field.startswith("Memory") and number != -1:
                assert isinstance(number, int)
                assert number % 65536 == 0


def test_of_two_quotas_the_later_one_is_meant() -> None:
    assert [meant(way) for way in ways("cpus", 2)] == [{"cpu-quota": -1}, {"cpus": "2"}]
    (over_a_period,) = [way for way in ways("cpu-quota", 2) if "cpu-period" in way.limit]
    assert meant(over_a_period) == {"cpu-period": 200_000, "cpu-quota": -1}


def test_a_quota_that_is_gone_is_lifted_whatever_became_of_its_period() -> None:
    assert lifting.same("max 100000", "max 200000")
    assert not lifting.same("60000 200000", "max 200000")
    assert not lifting.same("200000 100000", "200000 50000")
    assert not lifting.same(None, "max 100000")
    assert not lifting.same("max", "1099511627776")


def test_what_docker_declares_is_read_as_options() -> None:
    config = {
        "NanoCpus": "15000000", "CpuQuota": "-1", "CpuPeriod": "0", "Memory": "0",
        "MemorySwap": "-1", "PidsLimit": "0", "CpuShares": "0",
    }  # fmt: skip
    assert declared(config) == {
        "cpus": "0.015", "cpu-quota": -1, "memory-swap": -1, "pids-limit": 0,
    }  # fmt: skip
    assert declared({"PidsLimit": "null"}) == {}


# What a made-up daemon makes of it


class Made:
    """A daemon with one container: it declares what it is sent, and its kernel follows.

    The kernel is `late_s` late, and never gets what `drops` says.
    """

    def __init__(
        self, one: Option, *, late_s: float = 0.0, drops: Mapping[str, object] | None = None,
        refuses: Mapping[str, object] | None = None, version: int = 1,
    ) -> None:  # fmt: skip
        self._late_s, self._drops, self._refuses = late_s, drops, refuses
        self._version = version
        self._config: dict[str, object] = dict.fromkeys(FIELDS, 0) | {"PidsLimit": None}
        self._sent: list[tuple[float, Mapping[str, object]]] = []
        self.container_id = "c"
        self.cgroup = SimpleNamespace(offered=lambda _what: (0, 1))
        self.one = one

    def update_raw(self, _container_id: str, body: Mapping[str, object]) -> Answer:
        if body == self._refuses:
            return Answer(0, 0, (), "not that")
        self._config |= body
        if body != self._drops:
            self._sent.append((time.monotonic() + self._late_s, body))
        return Answer(0, 0, ())

    def _in_force(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for due, body in self._sent:
            if time.monotonic() >= due:
                if {"NanoCpus", "CpuQuota"} & set(body):
                    found = {key: one for key, one in found.items()
                             if key not in ("NanoCpus", "CpuQuota")}  # fmt: skip
                found |= body
        return found

    def held(self, one: Option) -> Held:
        """Return the text of a file; without a limit it says so."""
        texts = {name: json.dumps(value) for name, value in self._in_force().items()}
        text = self.interfaces(one)[0].expected(declared(texts))
        return Held(declared=None, enforced="none" if text is None else text)

    def interfaces(self, one: Option) -> tuple[Interface, ...]:
        return one.interfaces(self._version)

    def file(self, one: Option) -> str:
        return self.interfaces(one)[0].file

    def limits(self) -> Limits:
        return Limits({name: json.dumps(value) for name, value in self._config.items()}, {})


def lifted(name: str, **made: Any) -> dict[str, Lifting]:
    """Return what became of each way of lifting, by what lifts; each has a container of its own."""
    one = option(name)

    class Source:
        def __init__(self) -> None:
            self._made: list[Made] = []
            self.site = SimpleNamespace(engine=self)

        def update_raw(self, container_id: str, body: Mapping[str, object]) -> Answer:
            return self._made[int(container_id)].update_raw(container_id, body)

        def take(self) -> Idle:
            (idle,) = self.take_all(1)
            return idle

        def take_all(self, number: int) -> list[Idle]:
            fresh = [Made(one, **made) for _ in range(number)]
            for each in fresh:
                each.container_id = str(len(self._made))
                self._made.append(each)
            return cast(list[Idle], fresh)

        def progress(self, _text: str) -> None:
            pass

        def give_back(self, _idle: Idle) -> None:
            pass

    return {one.by: one for one in lifting.measure(option(name), cast(Supply, Source()))}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifting, "PATIENCE_S", 0.5)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["memory-swap", "memory-reservation", "pids-limit"])
def test_a_daemon_that_does_what_it_says_is_right(name: str, version: int) -> None:
    found = lifted(name, version=version)
    assert found
    assert all(one.lifted and one.right and not one.fails for one in found.values())


def test_a_kernel_that_follows_late_has_lifted_it_all_the_same() -> None:
    for one in lifted("pids-limit", late_s=0.2).values():
        assert (one.before, one.lifted, one.right) == ("64", True, True)


def test_all_ways_of_lifting_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(lifting, "time", clock)
    found = lifted("pids-limit", drops={"PidsLimit": 64})
    assert len(found) > 1
    # Never in force, and then where it was: only the first wait is for nothing.
    assert sum(slept) < 2 * lifting.PATIENCE_S


def test_a_value_that_never_reaches_the_kernel_has_lifted_nothing_whatever_is_declared() -> None:
    one = lifted("memory-swap", drops={"MemorySwap": -1})["--memory-swap -1"]
    assert one.outcome == "accepted"
    assert one.declared == "MemorySwap -1"
    assert (one.before, one.after) == ("67108864", "67108864"), "the last of its limits"
    assert one.fails
    assert one.right is False


def test_a_limit_that_is_lifted_and_still_declared_is_not_right_but_lifted() -> None:
    one = lifted("cpus")["--cpu-quota -1"]
    assert one.declared == "NanoCpus 500000000, CpuQuota -1"
    assert one.declares == ("50000", "-1")
    assert (one.after, one.lifted, one.right, one.fails) == ("-1", True, False, False)


def test_a_refusal_that_changes_nothing_is_right_and_lifts_nothing() -> None:
    one = lifted("cpu-quota", refuses={"NanoCpus": 2_000_000_000})["--cpus 2"]
    assert (one.outcome, one.message) == ("rejected", "not that")
    assert (one.lifted, one.right, one.fails) == (False, True, False)


def test_nothing_is_said_of_a_limit_that_never_took_hold() -> None:
    for one in lifted("pids-limit", drops={"PidsLimit": 64}).values():
        assert one.before == "none"
        assert one.lifted is None
        assert one.right is None


def test_nothing_is_said_where_the_limit_itself_is_refused() -> None:
    for one in lifted("pids-limit", refuses={"PidsLimit": 64}).values():
        assert (one.outcome, one.lifted, one.right) == ("rejected", None, None)


# What real ones do


class Watching(Supply):
    """A supply that has every container read by `cat` and `docker inspect` before it goes."""

    def give_back(self, idle: Idle) -> None:
        self.read.append(
            (
                idle_supply.cat(idle.container_id, *self.files),
                {field: idle_supply.inspected(idle.container_id, field) for field in FIELDS},
            )
        )
        super().give_back(idle)

    read: list[tuple[str, dict[str, str]]]
    files: tuple[str, ...]


@pytest.mark.docker
@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("cpus", ("cpu.cfs_quota_us", "cpu.max")),
        ("memory-swap", ("memory.memsw.limit_in_bytes", "memory.swap.max")),
    ],
)
def test_what_is_said_of_real_containers_is_what_cat_and_inspect_print(
    name: str, files: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifting, "PATIENCE_S", 2.0)
    with idle_supply.site() as place:
        supply = Watching(place)
        supply.read, supply.files = [], files
        with supply:
            found = lifting.measure(option(name), supply)
    assert len(found) == len(ways(name, 2)) == len(supply.read)
    for one, (text, fields) in zip(found, supply.read, strict=True):
        assert one.after == text
        assert one.before != text or one.lifted is False
        for declares in one.declared.split(", "):
            field, _, value = declares.partition(" ")
            assert fields[field] == value
        assert one.lifted is (text == one.asked)
