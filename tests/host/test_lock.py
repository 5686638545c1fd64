"""Only one cgbench measures at a time, and what a dead one left is found."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cgbench.errors import PreconditionError
from cgbench.host import lock


def test_a_second_cgbench_is_refused_with_the_holder_of_the_host(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        lock.exclusively(path),
        pytest.raises(PreconditionError, match=f"process {os.getpid()}"),
        lock.exclusively(path),
    ):
        pass


def test_a_cgbench_that_measures_is_waited_for_as_long_as_asked(tmp_path: Path) -> None:
    """Met by three new users: every job beside another one failed at once."""
    path, told = tmp_path / "lock", list[str]()
    with (
        lock.exclusively(path),
        pytest.raises(PreconditionError, match="is measuring") as caught,
        lock.exclusively(path, 0.2, told.append),
    ):
        pass
    assert caught.value.advice is not None
    assert "as a longer --wait does" in caught.value.advice
    assert told == [
        f"another cgbench (process {os.getpid()}) is measuring on this host: waiting for up to "
        "200 ms"
    ]
    holder = lock.exclusively(path)
    holder.__enter__()
    threading.Timer(0.3, holder.__exit__, (None, None, None)).start()
    with lock.exclusively(path, 30.0, told.append):
        assert len(told) == 2


def test_who_holds_the_host_is_known_without_touching_the_lock(tmp_path: Path) -> None:
    """Met by a new user: doctor took another's containers for those of a dead one."""
    path = tmp_path / "lock"
    assert lock.holder(path) is None
    with lock.exclusively(path):
        assert lock.holder(path) == os.getpid()
    assert lock.holder(path) is None
    assert lock.holder(path, tmp_path) is None


def test_the_lock_is_free_again_when_its_holder_died(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import os, pathlib, signal; from cgbench.host import lock\n"
        f"with lock.exclusively(pathlib.Path({str(path)!r})):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    with lock.exclusively(path):
        assert path.read_text() == str(os.getpid())


def test_leftovers_are_only_our_own_scratch_directories(tmp_path: Path) -> None:
    known = tmp_path / "cgbench-x-0001-0123abcd"
    known.mkdir()
    (tmp_path / "cgbench-x-0002-0123abcd").write_text("")
    (tmp_path / "other").mkdir()
    assert lock.scratch_leftovers(tmp_path) == [known]


def test_results_that_are_kept_in_memory_are_no_leftovers(tmp_path: Path) -> None:
    """Finding 17 d: `--results /dev/shm/cgbench-out` must outlive the next run."""
    (tmp_path / "cgbench-out" / "quota" / "20260101T000000Z-0001").mkdir(parents=True)
    assert lock.scratch_leftovers(tmp_path) == []


def test_scratch_folders_are_made_where_no_other_user_can_list_or_take_their_names(
    tmp_path: Path,
) -> None:
    with lock.scratch_folder("cgbench-x-0001", tmp_path) as folder:
        assert folder.parent == tmp_path / "cgbench"
        assert folder.parent.stat().st_mode & 0o777 == 0o711
        with lock.scratch_folder("cgbench-x-0002", tmp_path) as other:
            assert other.parent == folder.parent


@pytest.mark.parametrize("taken", ["link", "file", "foreign", "open"])
def test_a_parent_that_is_not_ours_is_passed_over_and_left_alone(
    tmp_path: Path, taken: str
) -> None:
    """Finding 4: no user can stop root's runs by a name in /dev/shm."""
    parent = tmp_path / "cgbench"
    if taken == "link":
        parent.symlink_to("/etc")
    elif taken == "file":
        parent.write_text("")
    else:
        parent.mkdir()
        (parent / "cgbench-x-0001-0123abcd").mkdir()
        os.chown(parent, *((65534, 65534) if taken == "foreign" else (-1, -1)))
        parent.chmod(0o777 if taken == "open" else 0o755)
    with lock.scratch_folder("cgbench-x-0001", tmp_path) as first:
        assert first.parent not in (parent, tmp_path)
        with lock.scratch_folder("cgbench-x-0002", tmp_path) as second:
            assert second.parent == first.parent
            assert lock.scratch_leftovers(tmp_path) == sorted([first, second])
    assert os.path.lexists(parent)


def test_what_others_put_beside_our_scratch_directories_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "cgbench-link-0001-0123abcd").symlink_to("/etc")
    (tmp_path / "cgbench-broken-0001-0123abcd").symlink_to(tmp_path / "nowhere")
    foreign = tmp_path / "cgbench-foreign-0001-0123abcd"
    foreign.mkdir()
    if os.geteuid() == 0:
        os.chown(foreign, 65534, 65534)
    else:
        foreign.rmdir()
    assert lock.scratch_leftovers(tmp_path) == []


def test_a_lock_that_cannot_be_opened_is_a_precondition_and_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "lock"
    with (
        pytest.raises(PreconditionError, match=f"the lock {path}: No such file"),
        lock.exclusively(path),
    ):
        pass


def test_a_scratch_folder_has_a_name_of_its_own_and_goes_in_the_end(tmp_path: Path) -> None:
    with (
        lock.scratch_folder("cgbench-x-0001", tmp_path) as first,
        lock.scratch_folder("cgbench-x-0001", tmp_path) as second,
    ):
        assert first != second
        assert first.name.startswith("cgbench-x-0001-")
        assert first.stat().st_mode & 0o777 == 0o711
        (first / "probe").write_text("x")
        assert lock.scratch_leftovers(tmp_path) == sorted([first, second])
    assert not list(tmp_path.iterdir())


def test_a_scratch_folder_that_cannot_be_made_is_a_precondition_and_named(tmp_path: Path) -> None:
    with (
        pytest.raises(PreconditionError, match=f"cannot make {tmp_path}/nowhere/cgbench: No such"),
        lock.scratch_folder("x", tmp_path / "nowhere"),
    ):
        pass
