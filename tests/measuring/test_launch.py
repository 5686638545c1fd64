"""Which container is started after which, what each is told, and where programs get their load."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from cgbench.engine.container_spec import ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.engine.facts import State
from cgbench.engine.program_spec import ProgramSpec
from cgbench.errors import TrialError
from cgbench.host import listening
from cgbench.host.listening import Listener
from cgbench.measuring import launch, probe
from cgbench.measuring.container import Birth, Running
from cgbench.measuring.program import Stage
from cgbench.measuring.task import task_of
from cgbench.spec import experiment_file
from cgbench.spec.container import Container
from cgbench.spec.experiment import Experiment
from cgbench.spec.program import Load, Program
from cgbench.spec.programs import with_loads
from cgbench.spec.report import Report
from cgbench.spec.schedule import planned
from tests.made.host_tree import HostTree, hybrid
from tests.made.processes import MadeUpEngine

URL = "http://127.0.0.1:8080/"
WEB = Program(image="shop", load=Load(url=URL, rate=100), ready_within=200_000_000)


class Networks:
    """Makes networks, and gives whoever is in one an address."""

    def __init__(self) -> None:
        self.made: list[str] = []

    @contextlib.contextmanager
    def internal(self, name: str, run: str, owner: str) -> Iterator[str]:
        assert run
        assert owner
        self.made.append(name)
        yield "net"
        self.made.remove(name)

    def address(self, _container: str) -> str:
        return "172.18.0.2"


class Starting(MadeUpEngine):
    """A daemon that starts containers, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__([State(True, os.getpid(), 0, False, "")])
        self.asked: list[ContainerSpec | ProgramSpec] = []
        self.networks = Networks()
        self.tree: HostTree | None = None

    @contextlib.contextmanager
    def container(self, spec: ContainerSpec | ProgramSpec) -> Iterator[str]:
        self.asked.append(spec)
        container_id = f"id-{len(self.asked)}"
        assert self.tree is not None
        self.tree.write(f"proc/{os.getpid()}/cgroup", f"4:cpu:/docker/{container_id}\n")
        yield container_id

    def stats(self, container_id: str) -> None:
        """Record nothing."""

    def logs(self, container_id: str) -> str:
        return "cannot bind: permission denied"


def experiment(*containers: Container, **programs: Program) -> Experiment:
    base = experiment_file.load("cpus-sweep")
    step = base.steps[0].model_copy(update={"role": containers[0].role})
    update = {"containers": containers, "programs": programs, "steps": (step,)}
    return with_loads(base.model_copy(update=update))


@contextlib.contextmanager
def launched(engine: Starting, folder: Path, what: Experiment) -> Iterator[list[Running]]:
    tree = engine.tree = hybrid(folder / "host")
    (plan, *_) = planned(what, 64, seed=1)
    birth = Birth(
        "cgbench-x-0001", "image", "x", 30, folder, proc=tree.root / "proc", root=tree.root,
        programs={"web": "sha256:1"},
    )  # fmt: skip
    with ExitStack() as stack:
        yield launch.start_all(Stage(stack, plan, cast(Engine, engine), birth), what)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs listen, and probers have their first answer."""
    monkeypatch.setattr(listening, "listeners", lambda *_: [Listener("0.0.0.0", 8080)])
    monkeypatch.setattr(probe.ProbeFile, "running", lambda _: True)


def test_who_shares_a_shm_is_started_once_its_maker_has_made_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Starting()
    ready: list[tuple[list[str], int]] = []
    what = experiment(
        Container(role="maker", workload="shared", size=4096),
        Container(role="guest", workload="shared", shares="maker", size=4096),
    )

    def awaited(_engine: Engine, running: Sequence[Running]) -> None:
        ready.append(([one.spec.role for one in running], len(engine.asked)))

    monkeypatch.setattr(launch, "await_probes", awaited)
    with launched(engine, tmp_path, what):
        maker, guest = (cast(ContainerSpec, one) for one in engine.asked)
    assert (maker.ipc, guest.ipc) == ("shareable", "container:id-1")
    assert maker.argv[-1] == guest.argv[-1] == "/dev/shm/cache"
    assert ready == [(["maker"], 1)], "before the guest is started"


@pytest.mark.usefixtures("answering")
def test_a_program_gets_a_guard_and_then_its_load(tmp_path: Path) -> None:
    engine = Starting()
    what = experiment(Container(role="shop", workload="web"), web=WEB)
    with launched(engine, tmp_path, what) as (program, prober):
        guard, own, load = engine.asked
        assert isinstance(own, ProgramSpec)
        assert isinstance(load, ContainerSpec)
        assert [one.name.removeprefix("cgbench-x-0001-") for one in engine.asked] == [
            "shop-guard", "shop", "shop-load",
        ]  # fmt: skip
        # By the image's identity, not by a name that may mean another one tomorrow.
        assert own.image == "sha256:1"
        assert own.guard == "id-1"
        assert (own.network, load.network) == ("none", "container:id-2")
        assert load.argv[-2:] == [URL, ""]
        assert cast(ContainerSpec, guard).deadline_s == load.deadline_s == 30
        # What the prober notes is the program's.
        assert program.probe is not None
        assert program.workload.probe == "request"
        assert prober.probe is None
    assert not (tmp_path / "shop-load").exists(), "the probe file is gone"


@pytest.mark.usefixtures("answering")
def test_over_a_bridge_the_load_asks_for_the_programs_address(tmp_path: Path) -> None:
    engine = Starting()
    bridged = WEB.model_copy(update={"network": "bridge"})
    what = experiment(Container(role="shop", workload="web"), web=bridged)
    with launched(engine, tmp_path, what):
        guard, own, load = (cast(Any, one) for one in engine.asked)
        assert (guard.network, own.network, load.network) == (None, "net", "net")
        assert own.guard == "id-1"
        assert load.argv[-2] == "http://172.18.0.2:8080/"
        assert engine.networks.made == ["cgbench-x-0001-shop"]
    assert engine.networks.made == []


@pytest.mark.usefixtures("answering")
def test_a_command_that_drives_runs_beside_the_program_below_a_guard_of_its_own(
    tmp_path: Path,
) -> None:
    engine = Starting()
    load = Load(command=("bench", "-n"), report=Report(keys={"rate": "rps"}))
    own = Program(image="shop", load=load, listens=8080, entrypoint=("/start",))
    with launched(engine, tmp_path, experiment(Container(role="s", workload="web"), web=own)) as (
        program,
        driver,
    ):
        names = [one.name.removeprefix("cgbench-x-0001-") for one in engine.asked]
        assert names == ["s-guard", "s", "s-load-guard", "s-load"]
        bench = engine.asked[-1]
        assert isinstance(bench, ProgramSpec)
        # The program's image by its identity, and not its entry point.
        assert (bench.image, bench.guard, bench.network) == ("sha256:1", "id-3", "container:id-2")
        assert (bench.program.command, bench.program.entrypoint) == (("bench", "-n"), ())
        assert program.probe is None
        assert driver.workload.name == "driver"


@pytest.mark.usefixtures("answering")
def test_a_port_of_the_host_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    engine = Starting()
    on_host = WEB.model_copy(update={"network": "host"})
    what = experiment(Container(role="shop", workload="web"), web=on_host)
    with (
        pytest.raises(TrialError, match=r"where another program listens on 0\.0\.0\.0:8080"),
        launched(engine, tmp_path, what),
    ):
        pass
    assert engine.asked == []


def test_a_program_that_listens_elsewhere_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "listeners", lambda *_: [Listener("::", 80)])
    what = experiment(Container(role="shop", workload="web"), web=WEB)
    with pytest.raises(TrialError) as caught, launched(Starting(), tmp_path, what):
        pass
    assert caught.value.message == (
        "shop does not listen on TCP port 8080 after 200 ms, but on [::]:80; the last it printed: "
        "cannot bind: permission denied"
    )


def test_a_program_that_never_answers_rightly_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "listeners", lambda *_: [Listener("::", 8080)])
    monkeypatch.setattr(probe.ProbeFile, "why_not_running", lambda _: "status 503")
    what = experiment(Container(role="shop", workload="web"), web=WEB)
    with pytest.raises(TrialError) as caught, launched(Starting(), tmp_path, what):
        pass
    assert "gave no right answer to http://127.0.0.1:8080/ within 200 ms (status 503)" in str(
        caught.value
    )


@pytest.mark.usefixtures("answering")
def test_a_programs_files_are_there_and_read_only(tmp_path: Path) -> None:
    engine = Starting()
    own = WEB.model_copy(update={"files": {"/etc/shop.conf": "port = 8080\n"}})
    with launched(engine, tmp_path, experiment(Container(role="s", workload="web"), web=own)):
        asked = engine.asked[1]
        assert isinstance(asked, ProgramSpec)
        (path,) = asked.files.values()
        assert path.read_text() == "port = 8080\n"
        assert path.stat().st_mode & 0o777 == 0o444


def test_a_probers_task_is_what_the_load_of_its_program_says() -> None:
    what = experiment(Container(role="shop", workload="web"), web=WEB)
    program, prober = what.containers
    task = task_of(what, prober)
    assert task is not None
    assert (task.kind, task.count, task.pace, task.timeout_ns) == ("request", 64, 10**7, 10**9)
    assert task_of(what, program) is None
    spin = experiment(Container(role="a", workload="spin"), Container(role="b", workload="wake"))
    kinds = [found.kind for one in spin.containers if (found := task_of(spin, one)) is not None]
    assert kinds == ["spin", "wake"]
