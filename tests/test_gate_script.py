"""The script of the job, with a program in cgbench's place: what it calls, and how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".github" / "gate.sh"

# Writes its arguments down; `show` tells a name, `baseline set` makes the file.
PROGRAM = """#!/bin/sh
printf '%s\\n' "$*" >>"$CALLS"
printf '<%s>' "$@" >>"$CALLS.apart"
case "$1" in
show) [ "$2" != unknown ] || exit 2; printf '{\\n  "name": "%s",\\n}\\n' "$2" ;;
run) exit "${RUN_STATUS:-0}" ;;
report) [ -z "${REPORT_FAILS:-}" ] || exit 2; echo page >"$6" ;;
baseline) if [ "$2" = show ]; then echo '<x/>' >"$5"; echo "### first $3" >"$7"; exit; fi
    mkdir -p "$7/baselines" && echo '{}' >"$7/baselines/$5.json" ;;
gate) [ -z "${HOLD:-}" ] || exec sleep 60
    exit "${GATE_STATUS:-0}" ;;
esac
"""


@dataclass(frozen=True)
class Job:
    """A workspace with such a program."""

    place: Path

    def run(self, experiments: str, **wishes: str) -> subprocess.CompletedProcess[str]:
        """Run the script in the workspace."""
        program = self.place / "program"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("CGBENCH_", "GITHUB_", "SUDO_"))}  # fmt: skip
        return subprocess.run(
            ["bash", str(SCRIPT)], cwd=self.place, capture_output=True, text=True, check=False,
            env=clean | {"CALLS": str(self.place / "calls"), "CGBENCH_PROGRAM": str(program),
                         "CGBENCH_EXPERIMENTS": experiments} | wishes,
        )  # fmt: skip

    def calls(self, command: str) -> list[str]:
        """Return the calls of one command."""
        lines = (self.place / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(command)]

    def keep(self, *names: str) -> None:
        """Commit baselines."""
        folder = self.place / "results" / "baselines"
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / f"{name}.json").write_text("{}")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.mark.parametrize("status", ["0", "1", "2", "3", "4"])
def test_it_ends_as_the_gate_does(job: Job, status: str) -> None:
    job.keep("quota")
    output = job.place / "output"
    done = job.run("quota", GATE_STATUS=status, GITHUB_OUTPUT=str(output))
    assert done.returncode == int(status), done.stderr
    assert output.read_text() == f"status={status}\n"


@pytest.mark.parametrize(("status", "ends"), [("0", 0), ("1", 1), ("2", 2), ("3", 0), ("4", 4)])
def test_warn_makes_only_a_missing_verdict_green_and_says_so(
    job: Job, status: str, ends: int
) -> None:
    job.keep("quota")
    done = job.run("quota", GATE_STATUS=status, CGBENCH_INCONCLUSIVE="warn", GITHUB_ACTIONS="true")
    assert done.returncode == ends
    assert ("::warning" in done.stdout) == (status == "3")


def test_the_gate_gets_every_wish(job: Job) -> None:
    job.keep("night")
    done = job.run(
        "quota", CGBENCH_BASELINE="night", CGBENCH_BUDGET="90s", CGBENCH_EFFECT="5",
        CGBENCH_ALLOW="kernel runc", CGBENCH_QUICK="true", CGBENCH_OUTPUT="out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert job.calls("gate") == [
        "gate quota --quick --results results --baseline night --allow kernel --allow runc "
        "--budget 90s --effect 5 --junit out/junit.xml --markdown out/gate.md --json out/gate.json "
        "-o out/gate.html"
    ]


def test_without_a_baseline_one_is_measured_kept_and_no_pass(job: Job) -> None:
    summary = job.place / "summary"
    done = job.run("quota", GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 3, done.stderr
    assert job.calls("run") == ["run quota --trials 30 --results results"]
    assert job.calls("baseline") == [
        "baseline set quota --name quota --results results",
        "baseline show results/baselines/quota.json --junit cgbench-gate/junit.xml "
        "--markdown cgbench-gate/gate.md",
    ]
    assert job.calls("gate") == []
    assert {one.name for one in (job.place / "cgbench-gate").iterdir()} == {
        "quota.json", "junit.xml", "gate.md", "gate.html"
    }  # fmt: skip
    assert "No baseline for quota yet" in summary.read_text()
    assert "### first results/baselines/quota.json" in summary.read_text(), "what there is"
    assert job.run("quota").returncode == 0


def test_of_several_first_baselines_each_is_shown_in_files_of_its_own(job: Job) -> None:
    job.keep("quota")
    assert job.run("quota period shares", CGBENCH_INCONCLUSIVE="warn").returncode == 0
    names = {one.name for one in (job.place / "cgbench-gate").iterdir()}
    assert names == {
        f"{front}{name}{end}"
        for front, end in (("", ".json"), ("junit.", ".xml"), ("gate.", ".md"), ("gate.", ".html"))
        for name in ("period", "shares")
    }
    assert job.run("quota").returncode == 0, "the next job removes them"


def test_a_page_that_cannot_be_written_takes_no_first_baseline_away(job: Job) -> None:
    done = job.run("quota", REPORT_FAILS="1")
    assert done.returncode == 3
    assert "no page could be written of quota" in done.stderr
    assert (job.place / "results" / "baselines" / "quota.json").is_file()


def test_paths_may_have_blanks(tmp_path: Path) -> None:
    place = tmp_path / "a work space"
    place.mkdir()
    job = Job(place)
    (place / "my own.toml").write_text("")
    (place / "my other.toml").write_text("")
    done = job.run("my own.toml", CGBENCH_RESULTS="my results", CGBENCH_OUTPUT="my gate")
    assert done.returncode == 3, done.stderr
    assert (place / "my gate" / "junit.xml").is_file()
    (place / "calls.apart").unlink()
    done = job.run(
        "my own.toml\nquota shares\nmy other.toml\n", CGBENCH_RESULTS="my results",
        CGBENCH_OUTPUT="my gate", CGBENCH_ALLOW="kernel\nrunc docker",
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    calls = (place / "calls.apart").read_text()
    for name in ("quota", "shares", "my other.toml"):
        assert f"<run><{name}><--trials><30><--results><my results>" in calls
    assert "<gate><my own.toml><--results><my results><--allow><kernel><--allow><runc>" in calls
    assert "<--junit><my gate/junit.xml>" in calls


def test_a_baseline_file_may_have_blanks(job: Job) -> None:
    (job.place / "my kept.json").write_text("{}")
    done = job.run("quota", CGBENCH_BASELINE="./my kept.json")
    assert done.returncode == 0, done.stderr
    assert "<--baseline><./my kept.json>" in (job.place / "calls.apart").read_text()


def test_a_baseline_that_this_host_cannot_measure_is_never_green(job: Job) -> None:
    output = job.place / "output"
    done = job.run("quota", RUN_STATUS="4", CGBENCH_INCONCLUSIVE="warn", GITHUB_OUTPUT=str(output))
    assert done.returncode == 4, done.stderr
    assert output.read_text() == "status=4\n"
    assert job.calls("baseline") == []


def test_one_missing_baseline_of_two_is_no_pass_and_hides_no_regression(job: Job) -> None:
    job.keep("quota")
    done = job.run("quota period", GATE_STATUS="1")
    assert done.returncode == 1
    (job.place / "results" / "baselines" / "period.json").unlink()
    assert job.run("quota period").returncode == 3
    assert all(line.startswith("gate quota --results") for line in job.calls("gate"))


@pytest.mark.parametrize(
    ("experiments", "wishes", "told"),
    [
        ("", {}, "CGBENCH_EXPERIMENTS"),
        ("unknown", {}, "no experiment unknown"),
        ("a b", {"CGBENCH_BASELINE": "x"}, "one baseline cannot be that of 2"),
        ("a", {"CGBENCH_INCONCLUSIVE": "pass"}, "neither fail nor warn: pass"),
        ("a", {"CGBENCH_QUICK": "yes"}, "neither true nor false: yes"),
        ("a", {"CGBENCH_BASELINE": "else/where.json"}, "there is no baseline else/where.json"),
        ("a", {"RUN_STATUS": "1"}, "a could not be measured"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_is_named(
    job: Job, experiments: str, wishes: dict[str, str], told: str
) -> None:
    done = job.run(experiments, CGBENCH_INCONCLUSIVE=wishes.pop("CGBENCH_INCONCLUSIVE", "warn"),
                   **wishes)  # fmt: skip
    assert done.returncode == 2
    assert told in done.stderr


# What root leaves


def test_the_output_folder_is_made_anew_and_an_old_page_is_gone(job: Job) -> None:
    job.keep("quota")
    output = job.place / "cgbench-gate"
    output.mkdir()
    for name in ("gate.html", "old.json", ".gate.md.1234"):
        (output / name).write_text("old")
    done = job.run("quota")
    assert done.returncode == 0, done.stderr
    assert list(output.iterdir()) == []


def test_a_link_planted_in_the_output_folder_is_removed_and_not_written_through(job: Job) -> None:
    """Finding 11: a link named as a half-written page made root write into any file."""
    job.keep("quota")
    precious = job.place / "precious"
    precious.write_text("precious")
    output = job.place / "cgbench-gate"
    output.mkdir()
    (output / ".gate.md.partial").symlink_to(precious)
    (output / "gate.md").symlink_to(precious)
    assert job.run("quota").returncode == 0
    assert list(output.iterdir()) == []
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("link", ["cgbench-gate", "results", "results/baselines"])
def test_a_folder_that_is_a_link_is_refused(job: Job, link: str) -> None:
    elsewhere = job.place / "elsewhere"
    elsewhere.mkdir()
    (job.place / link).parent.mkdir(exist_ok=True)
    (job.place / link).symlink_to(elsewhere)
    done = job.run("quota")
    assert done.returncode == 2
    assert f"{link} is a link" in done.stderr
    assert list(elsewhere.iterdir()) == []


def test_a_path_that_leads_through_a_link_is_refused(job: Job) -> None:
    (job.place / "elsewhere").mkdir()
    (job.place / "a").symlink_to("elsewhere")
    done = job.run("quota", CGBENCH_OUTPUT="a/b")
    assert (done.returncode, "a is a link" in done.stderr) == (2, True)
    assert list((job.place / "elsewhere").iterdir()) == []


def test_a_folder_with_something_else_in_it_is_refused_and_kept(job: Job) -> None:
    (job.place / "src").mkdir()
    for name in ("gate.html", "main.c"):
        (job.place / "src" / name).write_text("mine")
    done = job.run("quota", CGBENCH_OUTPUT="src")
    assert done.returncode == 2
    assert "src holds main.c, which no gate wrote" in done.stderr
    assert len(list((job.place / "src").iterdir())) == 2


def test_what_root_wrote_is_handed_back_also_after_an_error(job: Job) -> None:
    """Finding 2: what belongs to root makes the next job's checkout fail."""
    handed = job.place / "handed"
    folder = job.place / "bin"
    folder.mkdir()
    (folder / "chown").write_text(f'#!/bin/sh\necho "$@" >>{handed}\n')
    (folder / "chown").chmod(0o755)
    job.keep("quota")
    path = f"{folder}:{os.environ['PATH']}"
    for status in ("0", "2"):
        done = job.run("quota", GATE_STATUS=status, SUDO_UID="1000", SUDO_GID="1001", PATH=path)
        assert done.returncode == int(status)
    assert handed.read_text().splitlines() == [
        "-hR 1000:1001 cgbench-gate", "-hR 1000:1001 results"
    ] * 2  # fmt: skip


def test_an_error_of_the_scripts_own_is_never_read_as_a_regression(job: Job) -> None:
    job.keep("quota")
    (job.place / "file").write_text("")
    done = job.run("quota", CGBENCH_OUTPUT="file/below")
    assert done.returncode == 2
    assert "ended by an error of its own" in done.stderr


def test_a_user_whom_sudo_makes_no_root_gets_an_error_and_no_verdict(runner: Runner) -> None:
    process = runner.start(SUDO_REFUSES="1")
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "sudo gives this user no root" in err


# As another user than root, whom sudo makes root

SUDO = """#!/bin/sh
printf '%s\\n' "$*" >>"$SUDO_CALLS"
[ -z "$SUDO_REFUSES" ] || exit 1
[ "$1" != -n ] || { shift; exec "$@"; }
while [ "${1#-}" != "$1" ]; do shift; done
FAKE_ID=0 exec "$@"
"""
SETUP = """#!/bin/sh
mkdir -p "$CGBENCH_VENV/bin"
echo "$PYTHONDONTWRITEBYTECODE" >"$CGBENCH_VENV/bytecode"
cp "$FAKE_PROGRAM" "$CGBENCH_VENV/bin/cgbench"
"""


@dataclass(frozen=True)
class Runner:
    """A runner with an action's checkout, a workspace, and a sudo that needs no password."""

    place: Path

    def start(self, **wishes: str) -> subprocess.Popen[str]:
        """Start the script of that checkout as a user who is not root."""
        folder, action = self.place / "bin", self.place / "action"
        folder.mkdir()
        _script(folder / "id", 'printf "%s\\n" "${FAKE_ID:-1000}"\n')
        _script(folder / "sudo", SUDO)
        _script(self.place / "program", PROGRAM)
        _script(action / ".ci" / "setup", SETUP)
        (action / ".github").mkdir()
        shutil.copy(SCRIPT, action / ".github")
        Job(self.place / "workspace").keep("quota")
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("CGBENCH_", "GITHUB_", "SUDO_"))}  # fmt: skip
        return subprocess.Popen(
            ["bash", str(action / ".github" / "gate.sh")], cwd=self.place / "workspace", text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean | {"PATH": f"{folder}:{os.environ['PATH']}", "CGBENCH_EXPERIMENTS": "quota",
                         "CGBENCH_CACHE": str(self.place / "cache"),
                         "FAKE_PROGRAM": str(self.place / "program"),
                         "CALLS": str(self.place / "calls"),
                         "SUDO_CALLS": str(self.place / "sudo-calls")} | wishes,
        )  # fmt: skip

    def tree(self, folder: str) -> set[str]:
        """Return the files of a folder, by their paths in it."""
        top = self.place / folder
        return {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}")
    path.chmod(0o755)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    (tmp_path / "workspace").mkdir()
    return Runner(tmp_path)


def test_root_leaves_no_file_in_the_actions_checkout(runner: Runner) -> None:
    """Finding 2: root's virtual environment there made the runner's next job fail."""
    process = runner.start(GITHUB_TOKEN="secret")
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert runner.tree("action") == {".ci/setup", ".github/gate.sh"}
    (venv,) = (runner.place / "cache").iterdir()
    assert (venv / "bytecode").read_text() == "1\n"


def test_sudo_is_handed_names_and_a_path_that_begins_with_the_systems(runner: Runner) -> None:
    runner.start().communicate(timeout=30)
    _asked, call = (runner.place / "sudo-calls").read_text().splitlines()
    assert "GITHUB_TOKEN" not in call
    assert " env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" in call


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_cancelling_ends_roots_process_too_and_waits_for_it(
    runner: Runner, number: signal.Signals, status: int
) -> None:
    """Finding 6: root went on measuring with the lock held, and the next job was green."""
    process = runner.start(HOLD="1")
    _until(lambda: "gate quota" in _read(runner.place / "calls"))
    measuring = _sleepers(runner.place)
    assert measuring
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == status
    assert _sleepers(runner.place) == []


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.02)
    time.sleep(0.2)


def _sleepers(place: Path) -> list[int]:
    """Return the processes of the made-up measurement: its `sleep` works in the workspace."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "comm").read_text().strip()
            if name == "sleep" and (process / "cwd").resolve() == (place / "workspace").resolve():
                found.append(int(process.name))
        except OSError:
            continue
    return found
