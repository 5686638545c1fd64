"""Containers that others started are read and judged, and one that cannot be read is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from cgbench.commands import audit
from cgbench.commands.audit import Place
from cgbench.commands.chosen import Wanted, chosen
from cgbench.engine.engine import Engine
from cgbench.errors import EngineError
from cgbench.judging import expectations
from cgbench.records.audit import Audit, Found, Limit
from cgbench.spec.option import Settings
from tests.made.containers import MIB, PID, Daemon, Host, identity


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def limit(found: Audit, name: str) -> Limit:
    (container,) = found.containers
    return next(one for one in container.limits if one.limit == name)


def test_a_container_is_read_from_inspect_to_what_it_feels(host: Host) -> None:
    daemon = Daemon(web={"NanoCpus": 500_000_000, "Memory": 64 * MIB, "PidsLimit": 50})
    host.group(PID, cpu_max="50000 100000", memory_max=str(64 * MIB), pids_max="50")
    found = host.audited(daemon)
    assert found.findings == []
    assert limit(found, "cpus").finding is Found.IN_FORCE
    assert limit(found, "cpus").felt["throttled_periods_pct"] == 25
    assert limit(found, "cpus").felt["cpus_used"] is None, "nothing was waited for"
    assert limit(found, "memory").felt == {
        "memory_bytes": 1048576.0, "limit_hits": 3.0, "oom_kills": 1.0, "refaults": None,
        "major_faults": None,
    }  # fmt: skip
    assert limit(found, "pids").felt["refused_forks"] == 7
    assert limit(found, "memory").files == {str(host.path(PID, "memory.max")): str(64 * MIB)}
    assert json.loads(json.dumps(found.to_json()))["findings"] == 0


def test_what_was_tampered_with_comes_first(host: Host) -> None:
    daemon = Daemon(good={"PidsLimit": 50}, bad={"PidsLimit": 50}, gone=None)
    host.group(PID, pids_max="50")
    host.group(PID + 1, pids_max="5000")
    found = host.audited(daemon)
    assert [one.name for one in found.containers] == ["bad", "gone", "good"]
    assert found.unread == 1
    ((container, one),) = found.findings
    assert (container.name, one.finding) == ("bad", Found.DIFFERS)


@pytest.mark.parametrize(
    ("config", "name", "files", "finding", "says"),
    [
        ({"CpusetMems": "0"}, "cpuset", {"cpuset_mems": "0-0"}, Found.UNLIMITED, ""),
        ({"CpusetMems": "0"}, "cpuset", {"cpuset_mems": "1"}, Found.DIFFERS,
         "cpuset.mems says 1, and by --cpuset-mems it should say 0"),
        ({"CpusetMems": "0", "CpusetCpus": "0-3"}, "cpuset",
         {"cpuset_mems": "0", "cpuset_cpus": "0-3"}, Found.IN_FORCE, "cpuset.mems says 0"),
        ({"CpuRealtimePeriod": 500_000}, "cpus", {}, Found.ABSENT,
         "--cpu-rt-period is declared, and this kernel has no cpu.rt_period_us"),
        ({"KernelMemory": 64 * MIB}, "memory", {}, Found.ABSENT,
         "--kernel-memory is declared, and this kernel has no memory.kmem.limit_in_bytes"),
        ({"CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "KernelMemory": 0, "CpusetMems": ""},
         "cpus", {}, Found.UNLIMITED, ""),
    ],
)  # fmt: skip
def test_what_is_declared_beside_a_limit_is_part_of_its_row(
    host: Host, config: dict[str, object], name: str, files: dict[str, str], finding: Found,
    says: str,
) -> None:  # fmt: skip
    host.group(PID, **files)
    one = limit(host.audited(Daemon(web=config)), name)
    assert one.finding is finding
    assert says in one.reason


def test_a_weight_that_no_device_heeds_is_found(host: Host) -> None:
    daemon = Daemon(web={"BlkioWeight": 300})
    host.group(PID, io_weight="default 2930")
    assert limit(host.audited(daemon), "io-weight").finding is Found.NO_EFFECT
    host.write("sys/block/vda/queue/scheduler", "mq-deadline [bfq] none\n")
    assert limit(host.audited(daemon), "io-weight").finding is Found.IN_FORCE


def test_a_device_that_is_throttled_is_known_by_its_numbers(host: Host) -> None:
    (host.root / "dev").mkdir()
    (host.root / "dev/null").symlink_to("/dev/null")
    rates = [{"Path": "/dev/null", "Rate": 4096}, {"Path": "/dev/gone", "Rate": 1}]
    daemon = Daemon(web={"BlkioDeviceReadBps": rates, "BlkioDeviceWriteBps": None})
    host.group(PID, io_max="1:3 rbps=4096 wbps=max riops=max wiops=max")
    one = limit(host.audited(daemon), "device-throttle")
    assert (one.declared, one.finding) == ("1:3 rbps=4096", Found.IN_FORCE)
    host.group(PID, io_max="1:3 rbps=9 wbps=max riops=max wiops=max")
    assert limit(host.audited(daemon), "device-throttle").finding is Found.DIFFERS


def test_use_is_told_over_the_time_that_was_waited_for(host: Host) -> None:
    daemon = Daemon(web={})
    host.group(PID)
    used = limit(host.audited(daemon, for_s=1.0), "cpus").felt["cpus_used"]
    assert used == 0.0


def test_one_that_is_gone_or_does_not_run_is_named_and_no_finding(host: Host) -> None:
    daemon = Daemon(gone=None, stopped={}, vanished={})
    daemon.states["stopped"] = "exited"
    daemon.pids["stopped"] = 0
    found = host.audited(daemon, Wanted(stopped=True))
    assert {one.name: one.unread for one in found.containers} == {
        "gone": "it was removed while it was read",
        "stopped": "it is exited: the kernel holds nothing of it",
        "vanished": f"{host.root}/proc/{PID + 2}/cgroup: No such file or directory",
    }
    assert found.findings == []


def test_a_process_that_is_another_ones_here_is_not_read(host: Host) -> None:
    """A daemon in another PID namespace names its processes by numbers that are others' here."""
    daemon = Daemon(web={"PidsLimit": 50})
    host.write(f"proc/{PID}/cgroup", "0::/user.slice/somebody\n")
    (found,) = host.audited(daemon).containers
    assert found.limits == ()
    assert "the daemon is another host's" in (found.unread or "")


def test_processes_that_were_moved_out_of_the_group_are_a_finding(host: Host) -> None:
    """What they left behind says what was declared, and limits nothing."""
    daemon = Daemon(web={"PidsLimit": 50})
    host.group(PID, pids_max="50")
    host.path(PID, "cgroup.procs").write_text("")
    host.write(f"proc/{PID}/cgroup", "0::/user.slice/somebody\n")
    host.write("sys/fs/cgroup/user.slice/somebody/pids.max", "70\n")
    host.write("sys/fs/cgroup/user.slice/cgroup.procs", "")
    found = host.audited(daemon)
    one = limit(found, "pids")
    assert one.finding is Found.NO_EFFECT
    assert "its only process is in the group /user.slice/somebody" in one.reason
    assert (one.effective, one.bound_by.path) == (70.0, "/user.slice/somebody")
    (missed,) = expectations.missed(expectations.parse("pids<=50"), found)
    assert missed.effective == 70.0
    host.path(PID, "cgroup.procs").write_text(f"{PID + 9}\n")
    host.write(f"proc/{PID + 9}/cgroup", f"0::/docker/{identity(PID)}\n")
    one = limit(host.audited(daemon), "pids")
    assert "1 of 2 processes are in the group" in one.reason, "docker exec started the other one"
    assert one.effective == 50.0


def test_a_container_with_groups_of_its_own_inside_is_judged_by_its_own_group(host: Host) -> None:
    daemon = Daemon(web={"PidsLimit": 50})
    host.group(PID, pids_max="50")
    host.path(PID, "cgroup.procs").write_text("")
    host.write(f"proc/{PID}/cgroup", f"0::/docker/{identity(PID)}/init.scope\n")
    inside = host.path(PID, "init.scope")
    inside.mkdir()
    (inside / "cgroup.procs").write_text(f"{PID}\n")
    (inside / "pids.max").write_text("max\n")
    assert limit(host.audited(daemon), "pids").finding is Found.IN_FORCE


def test_a_group_without_processes_has_ended(host: Host) -> None:
    daemon = Daemon(web={"PidsLimit": 50})
    host.group(PID, pids_max="50")
    host.path(PID, "cgroup.procs").write_text("")
    assert host.audited(daemon).containers[0].unread == "it ended while it was read"


def test_names_identities_labels_and_projects_choose(host: Host) -> None:
    daemon = Daemon(web={}, db={}, old={})
    daemon.labels = {
        "web": {"com.docker.compose.project": "shop", "tier": "front"}, "db": {"tier": "back"},
    }  # fmt: skip
    engine = cast(Engine, daemon)

    def names(wanted: Wanted) -> list[str]:
        return [one.name for one in chosen(wanted, engine)]

    assert names(Wanted(["db", "0a0a"])) == ["db", "web"]
    assert names(Wanted(["web", "web"])) == ["web"]
    assert names(Wanted(labels=["tier"])) == ["web", "db"]
    assert names(Wanted(labels=["tier=back"])) == ["db"]
    assert names(Wanted(project="shop")) == ["web"]
    assert names(Wanted()) == ["web", "db", "old"]


@pytest.mark.parametrize(
    ("wanted", "message", "advice"),
    [
        (Wanted(labels=["teer=front"]), "no running container has the label teer=front",
         "Did you mean tier=front?"),
        (Wanted(labels=["teer"]), "has the label teer", "Did you mean tier?"),
        (Wanted(labels=["nope=1"]), "has the label nope=1",
         "There are the labels com.docker.compose.project=shop, tier=back, tier=front."),
        (Wanted(project="shpo"), "no running container is of the compose project shpo",
         "Did you mean shop?"),
        (Wanted(labels=["tier=back"], project="shop"),
         "has the label tier=back and is of the compose project shop", "shop"),
        (Wanted(labels=["tier=old"]), "tier=old", "1 container of that kind does not run."),
        (Wanted(project="nope\x1b[31m", stopped=True),
         "no container is of the compose project nope\\x1b[31m", "There are the projects shop."),
    ],
)  # fmt: skip
def test_a_label_or_project_of_no_container_is_refused(
    wanted: Wanted, message: str, advice: str
) -> None:
    daemon = Daemon(web={}, db={}, old={})
    daemon.labels = {
        "web": {"com.docker.compose.project": "shop", "tier": "front"}, "db": {"tier": "back"},
        "old": {"tier": "old"},
    }  # fmt: skip
    daemon.states["old"] = "exited"
    with pytest.raises(EngineError) as error:
        chosen(wanted, cast(Engine, daemon))
    assert message in error.value.message
    assert advice in (error.value.advice or "")


def test_a_host_without_containers_is_no_error() -> None:
    assert chosen(Wanted(), cast(Engine, Daemon())) == []
    with pytest.raises(EngineError) as error:
        chosen(Wanted(project="shop"), cast(Engine, Daemon()))
    assert error.value.advice == "No running container has any."


def test_a_service_is_compared_with_its_compose_file(host: Host) -> None:
    daemon = Daemon(shop_web_1={"PidsLimit": 50}, other={"PidsLimit": 50})
    daemon.labels["shop_web_1"] = {"com.docker.compose.service": "web"}
    for pid in (PID, PID + 1):
        host.group(pid, pids_max="50")
    place = Place(host.root / "proc", host.root)
    composed: dict[str, Settings] = {"web": {"pids-limit": 100}}
    found = audit.audit(Wanted(), cast(Engine, daemon), place=place, composed=composed)
    assert [(one.name, limit.limit) for one, limit in found.findings] == [("shop_web_1", "pids")]
    assert found.findings[0][1].managed == 100


def test_the_manager_is_named(host: Host) -> None:
    daemon = Daemon(web={})
    daemon.labels["web"] = {"com.docker.compose.project": "shop"}
    host.group(PID)
    assert host.audited(daemon).containers[0].manager == "compose project shop"


@pytest.mark.parametrize(
    ("name", "message", "advice"),
    [
        ("wep", "no container called wep", "Did you mean web?"),
        ("zzz", "no container called zzz", "List them: docker ps -a."),
        ("", "fits 2 containers: 0a0a0a0a0a0a, 1a1a1a1a1a1a", "Write more"),
        ("a\x1b[31m", "no container called a\\x1b[31m", "List them"),
    ],
)
def test_a_name_that_fits_none_or_many_is_refused(name: str, message: str, advice: str) -> None:
    with pytest.raises(EngineError) as error:
        chosen(Wanted([name]), cast(Engine, Daemon(web={}, db={})))
    assert message in error.value.message
    assert advice in (error.value.advice or "")


@pytest.mark.parametrize(
    ("most", "usual", "told"), [(96365, False, None), (96365, True, 96365), (200, False, 200)]
)
def test_a_limit_of_a_user_that_every_process_has_is_told_only_beside_a_declared_one(
    most: int, usual: bool, told: int | None, tmp_path: Path
) -> None:
    """Each container of a user who is not root had a row that says nothing of it."""
    for pid, uid, limit in ((1, 0, 96365), (7, 1000, most)):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "status").write_text(f"Uid:\t{uid}\nThreads:\t1\nCapEff:\t0000000000000000\n")
        (folder / "limits").write_text(f"Max processes   {limit}   {limit}   processes\n")
    found = audit._user_limit([7], tmp_path, usual=usual)
    assert (None if found is None else found.tasks) == told
