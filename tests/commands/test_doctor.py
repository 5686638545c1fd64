"""The doctor finds what is missing, says what to do, and never needs what it looks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgbench.commands import doctor
from cgbench.commands.doctor import Examination, Finding, examine
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows, records
from tests.made.command import cgbench


def test_a_host_without_docker_is_told_so_with_exit_status_4(tmp_path: Path) -> None:
    done = cgbench("doctor", "--json", "-", environment={"DOCKER_HOST": f"unix://{tmp_path}/none"})
    assert done.returncode == 4
    answer = json.loads(done.stdout)
    assert answer["able"] is False
    (docker,) = [one for one in answer["findings"] if one["name"] == "Docker"]
    assert docker["status"] == "bad"
    assert docker["advice"]


@pytest.mark.docker
def test_this_host_can_run_the_main_job() -> None:
    examination = examine()
    assert examination.able
    assert examination.host is not None
    assert {"Docker", "kernel", "image", "noise", "measured elsewhere"} <= {
        one.name for one in examination.findings
    }
    assert cgbench("doctor").returncode == 0


def test_what_did_not_hold_on_a_measured_host_like_this_is_told_as_measured_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "shipped", lambda: tmp_path)
    here = records.host(kernel="6.12")
    (nothing,) = doctor._elsewhere(here)
    assert (nothing.status, nothing.text) == ("note", "the atlas has no host with cgroup v1")
    atlas_rows.written(tmp_path, atlas_rows.row("all-held", {"cpus": Outcome.EFFECTIVE}))
    (held,) = doctor._elsewhere(here)
    assert held.status == "ok"
    assert "all-held is most like this one (kernel 6.1, here 6.12): all of 1 option" in held.text
    some = {"cpus": Outcome.EFFECTIVE, "memory": Outcome.IGNORED}
    atlas_rows.written(tmp_path, atlas_rows.row("some-held", some, kernel="6.12"))
    (failed,) = doctor._elsewhere(here)
    assert failed.status == "note"
    assert failed.text.endswith("1 of 2 options did not hold: --memory ignored")
    assert failed.advice is not None
    assert "not here" in failed.advice


def test_text_has_a_line_per_finding_and_the_verdict() -> None:
    findings = (Finding("a", "ok", "fine"), Finding("b", "bad", "missing", "Get it."))
    lines = Examination(None, findings).to_text().splitlines()
    assert lines[0].startswith("ok")
    assert lines[1].startswith("BAD")
    assert lines[2].strip() == "Get it."
    assert "cannot" in lines[3]
