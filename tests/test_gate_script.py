"""The script of the job, with a program in cgbench's place: what it calls, and how it ends."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".github" / "gate.sh"

# Writes its arguments down; `show` tells a name, `baseline set` makes the file.
PROGRAM = """#!/bin/sh
printf '%s\\n' "$*" >>"$CALLS"
case "$1" in
show) [ "$2" != unknown ] || exit 2; printf '{\\n  "name": "%s",\\n}\\n' "$2" ;;
run) exit "${RUN_STATUS:-0}" ;;
baseline) mkdir -p "$7/baselines" && echo '{}' >"$7/baselines/$5.json" ;;
gate) exit "${GATE_STATUS:-0}" ;;
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
    assert job.calls("baseline") == ["baseline set quota --name quota --results results"]
    assert job.calls("gate") == []
    assert (job.place / "cgbench-gate" / "quota.json").is_file()
    assert "No baseline for quota yet" in summary.read_text()
    assert job.run("quota").returncode == 0


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
