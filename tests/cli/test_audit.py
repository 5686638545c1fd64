"""`cgbench audit` prints findings with the files that prove them, and then ends with 1."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.cli import app, audit_table
from cgbench.cli.console import Console
from cgbench.commands import audit
from cgbench.engine import connection, engine
from cgbench.host import description
from cgbench.records.audit import Audit, Audited, Bound, Found, Limit
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows, records

Ended = tuple[int, str, str]


@pytest.fixture
def cgbench(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Return what runs a command in this process: its status, and both of its outputs."""

    def run(*arguments: object) -> Ended:
        status = app.command()([str(one) for one in arguments], standalone_mode=False)
        return (status if isinstance(status, int) else 0, *capsys.readouterr())

    return run


class Daemon:
    """Is there, and is closed."""

    def close(self) -> None:
        pass

    def describe(self) -> dict[str, str]:
        return {}


def limit(name: str, finding: Found, effective: float | None = 0.5) -> Limit:
    return Limit.model_validate({
        "limit": name, "declared": 1.0, "expected": {}, "effective": effective,
        "files": {f"/sys/fs/cgroup/{name}.max": "7"}, "finding": finding, "reason": f"of {name}",
        "bound_by": Bound(kind="ancestor", path="/parent"),
        "felt": {"throttled_periods_pct": 25.0, "oom_kills": 1.0},
    })  # fmt: skip


def container(name: str, *limits: Limit, unread: str | None = None) -> Audited:
    return Audited(
        id="abc", name=name, image="x", state="running", manager=None, limits=limits, unread=unread
    )


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Audited]:
    """Return the containers that an audit finds."""
    containers: list[Audited] = []
    monkeypatch.setattr(connection, "Connection", lambda *_, **__: None)
    monkeypatch.setattr(engine, "Engine", lambda connection: Daemon())
    monkeypatch.setattr(audit, "audit", lambda *_arguments, **_named: Audit(
        hostname="h", at="2026-01-01", seconds=0.2, containers=tuple(containers)
    ))  # fmt: skip
    return containers


def test_a_finding_is_shown_with_its_file_and_fails(
    found: list[Audited], cgbench: Callable[..., Ended]
) -> None:
    found.append(container(
        "web\x1b[31m", limit("memory", Found.IN_FORCE), limit("cpus", Found.TIGHTER_ABOVE),
    ))  # fmt: skip
    status, out, _ = cgbench("audit")
    assert status == 1
    assert out.index("✗ tighter above") < out.index("✓ in force"), "the worst comes first"
    assert "web\\x1b[31m: cpus tighter above: of cpus" in out
    assert "    cat /sys/fs/cgroup/cpus.max" in out
    assert "    in the group /parent above it" in out
    assert "1 container read, 1 finding; 0.2 s" in out
    assert "\x1b[31m" not in out


_NAME = "a-very-long-name-of-a-container-" * 3


def _felt(one: Limit) -> Limit:
    return one.model_copy(update={"felt": {
        "cpus_used": 0.5, "throttled_periods_pct": 95.0, "oom_kills": 12.0, "refused_forks": 99.0,
    }})  # fmt: skip


def test_outside_of_a_terminal_no_cell_is_cut_or_wrapped(
    found: list[Audited], cgbench: Callable[..., Ended]
) -> None:
    found.append(container(_NAME, _felt(limit("memory-reservation", Found.TIGHTER_ABOVE))))
    _status, out, _ = cgbench("audit")
    (line,) = [line for line in out.splitlines() if line.startswith(f"{_NAME} ")]
    assert "0.50 CPUs, throttled 95 %, 12 killed, 99 refused  ✗ tighter above" in line


@pytest.mark.parametrize("width", [100, 130, 200])
def test_a_terminals_width_is_used_and_no_finding_or_name_is_broken(width: int) -> None:
    console = Console(highlight=False, width=width, force_terminal=True, color_system=None,
                      file=StringIO())  # fmt: skip
    audit_table.show(Audit(hostname="h", at="2026-01-01", seconds=0.2, containers=(
        container("role-a-throttled", _felt(limit("memory-swap", Found.TIGHTER_ABOVE))),
    )), console=console)  # fmt: skip
    assert isinstance(console.file, StringIO)
    table = console.file.getvalue().split("role-a-throttled: memory-swap")[0]
    assert "role-a-throttled  memory-swap" in table
    assert "✗ tighter above" in table
    assert max(len(line) for line in table.splitlines()) <= width
    assert (len(table.splitlines()) == 2) == (width >= 130), "it is as wide as the terminal is"


def _in_a_terminal(width: int, *containers: Audited) -> list[str]:
    console = Console(highlight=False, width=width, force_terminal=True, color_system=None,
                      file=StringIO())  # fmt: skip
    audit_table.show(Audit(hostname="h", at="2026-01-01", seconds=0.2, containers=containers),
                     console=console)  # fmt: skip
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().split(": ")[0].splitlines()[:-1]


@pytest.mark.parametrize("width", [60, 80, 90, 95])
def test_no_line_of_the_table_is_longer_than_a_narrow_terminal(width: int) -> None:
    """Met by a new user: below some 95 columns each row was broken by the terminal."""
    felt = _felt(limit("memory-reservation", Found.TIGHTER_ABOVE, 2**26 + 2**19))
    table = _in_a_terminal(
        width, container(_NAME, felt, _felt(limit("cpus", Found.UNDECLARED))),
        container("web", limit("device-throttle", Found.NO_EFFECT)),
    )  # fmt: skip
    assert max(map(len, table)) <= width
    if width >= 80:
        words = " ".join(" ".join(table).split())
        for part in ("throttled", "refused", "✗ undeclared", "✗ tighter", "64.5 MiB", "ancestor"):
            assert part in words, "no word is broken"


def test_in_80_columns_what_is_common_is_on_one_line_but_for_what_is_felt() -> None:
    table = _in_a_terminal(
        80, container("web-frontend-1", _felt(limit("cpus", Found.IN_FORCE)),
                      limit("memory-swap", Found.DIFFERS)),
    )  # fmt: skip
    head, other = table[:2]
    (row,) = [line for line in table if " cpus " in line]
    assert head.split() == ["container", "limit", "declared", "effective", "bound", "by", "felt",
                            "finding"]  # fmt: skip
    assert other.startswith("web-frontend-1 memory-swap ")
    assert other.rstrip().endswith("✗ differs")
    assert row.split()[:3] == ["cpus", "1.00", "0.500"]
    assert row.rstrip().endswith("✓ in force")


def test_only_the_findings_are_printed_where_nothing_else_is_asked_for(
    found: list[Audited], cgbench: Callable[..., Ended]
) -> None:
    found += [
        container("web", limit("memory", Found.IN_FORCE), limit("cpus", Found.DIFFERS)),
        container("db", limit("pids", Found.IN_FORCE)), container("old", unread="it ended"),
    ]  # fmt: skip
    for flags in (["--only", "failing"], ["--quiet"]):
        status, out, _ = cgbench("audit", *flags)
        assert status == 1
        assert "✗ differs" in out
        assert "cat /sys/fs/cgroup/cpus.max" in out
        assert not [word for word in ("✓", "db", "it ended", "memory") if word in out]


def test_what_is_in_force_or_was_not_read_passes(
    found: list[Audited], cgbench: Callable[..., Ended]
) -> None:
    found += [container("web", limit("cpus", Found.IN_FORCE)), container("db", unread="it ended")]
    status, out, _ = cgbench("audit")
    assert status == 0
    assert "db: it ended" in out
    assert "1 of 2 containers read, 0 findings; 0.2 s" in out
    assert cgbench("audit", "--quiet") == (0, "", "")


def test_an_expectation_that_is_missed_fails(
    found: list[Audited], cgbench: Callable[..., Ended]
) -> None:
    found.append(container("web", limit("cpus", Found.IN_FORCE)))
    assert cgbench("audit", "--expect", "cpus<=1")[0] == 0
    status, out, _ = cgbench("audit", "--expect", "cpus<=0.1", "--quiet")
    assert status == 1
    assert "web: cpus<=0.1 is expected, and 0.5 is the most" in out
    assert "1 container read, 0 findings, 1 expectation missed; 0.2 s" in out
    status, out, _ = cgbench("audit", "--expect", "cpus<=0.1", "--json", "-")
    assert (status, json.loads(out)["missed"]) == (1, [{
        "container": "web", "limit": "cpus", "expected": "cpus<=0.1", "effective": 0.5,
        "reason": "cpus<=0.1 is expected, and 0.5 is the most",
    }])  # fmt: skip


def test_an_expectation_that_is_unclear_is_refused_before_anything_is_read(
    cgbench: Callable[..., Ended],
) -> None:
    status, _, complaint = cgbench("audit", "--expect", "cpus")
    assert status == 2
    assert "--expect: 'cpus' is no expectation" in complaint


def test_what_failed_on_a_measured_host_like_this_is_told_if_asked_for_and_is_no_finding(
    found: list[Audited], cgbench: Callable[..., Ended], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    row = atlas_rows.row(
        "near", {"cpus": Outcome.IGNORED, "pids-limit": Outcome.WRONG, "memory": Outcome.EFFECTIVE}
    )
    atlas_rows.written(tmp_path, row)
    monkeypatch.setattr("cgbench.records.atlas.shipped", lambda: tmp_path)
    monkeypatch.setattr(description, "describe", lambda _described: records.host(runc="1.4"))
    found.append(container("web", limit("cpus", Found.IN_FORCE), limit("memory", Found.IN_FORCE)))
    status, out, _ = cgbench("audit", "--atlas")
    assert status == 0
    last = out.splitlines()[-3:]
    assert "elsewhere: of the measured hosts near is most like this one (runtime" in last[0]
    assert "1 of 2 options did not hold" in last[0]
    assert last[1].strip().startswith("--cpus: ignored:")
    assert last[2].strip().startswith("Measured there, not here.")
    document = json.loads(cgbench("audit", "--atlas", "--json", "-")[1])
    assert document["elsewhere"]["row"] == "near"
    assert [one["option"] for one in document["elsewhere"]["not_so"]] == ["cpus"]
    assert document["findings"] == 0
    assert "elsewhere" not in cgbench("audit")[1]


def test_json_and_files_have_all_of_it(
    found: list[Audited], tmp_path: Path, cgbench: Callable[..., Ended]
) -> None:
    found.append(container("web", limit("cpus", Found.DIFFERS)))
    junit, markdown = tmp_path / "a.xml", tmp_path / "a.md"
    status, out, _ = cgbench("audit", "--json", "-", "--junit", junit, "--markdown", markdown)
    assert status == 1
    document = json.loads(out)
    assert (document["findings"], document["containers"][0]["name"]) == (1, "web")
    assert 'type="differs"' in junit.read_text()
    assert "| `web` | cpus | differs |" in markdown.read_text()


def test_what_a_user_may_have_is_shown_where_nothing_else_limits_it(
    found: list[Audited], cgbench: Callable[..., Ended]
) -> None:
    free = limit("pids", Found.UNLIMITED, 200.0).model_copy(update={"declared": None})
    found += [
        container("web", free.model_copy(update={"bound_by": Bound(kind="user")})),
        container("db", free.model_copy(update={"bound_by": Bound(kind="none")})),
    ]  # fmt: skip
    _, out, _ = cgbench("audit")
    rows = {line.split()[0]: line.split()[1:5] for line in out.splitlines()[1:3]}
    assert rows == {"web": ["pids", "–", "200", "user"], "db": ["–", "–", "–", "–"]}


def test_one_form_can_be_printed_and_makes_no_file(
    found: list[Audited], tmp_path: Path, cgbench: Callable[..., Ended],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    found.append(container("web", limit("cpus", Found.DIFFERS)))
    status, out, _ = cgbench("audit", "--junit", "-")
    assert (status, ET.fromstring(out).tag) == (1, "testsuites")
    status, out, _ = cgbench("audit", "--markdown", "-")
    assert status == 1
    assert out.startswith("### 1 container read, 1 finding\n")
    assert "✗" not in out
    assert list(tmp_path.iterdir()) == []
    status, _, said = cgbench("audit", "--markdown", "-", "--json", "-")
    assert status == 2
    assert "only one of --json, --junit and --markdown can be printed" in said


def test_a_form_in_a_folder_that_is_not_there_is_an_error_that_names_it(
    found: list[Audited], tmp_path: Path, cgbench: Callable[..., Ended]
) -> None:
    found.append(container("web", limit("cpus", Found.IN_FORCE)))
    for form in ("--junit", "--markdown"):
        status, _, said = cgbench("audit", form, tmp_path / "absent" / "x")
        assert status == 2
        assert f"there is no folder {tmp_path}/absent" in said
    assert list(tmp_path.iterdir()) == []


CELLS = st.sampled_from(
    ["", "a", "abc def", "memory-swap", "✓ in force", "漢字", "x" * 40, "a b c d e f g h", " lead",
     "trail ", "a\nb", "t\tab", "e\u0301", "🙂", "  "]
)  # fmt: skip


@given(
    st.lists(st.tuples(*[CELLS] * 7), min_size=1, max_size=6),
    st.sampled_from([20, 40, 60, 80, 120, 400]),
    st.booleans(),
)
@settings(deadline=None)
def test_rows_are_printed_as_one_table_of_rich_would_be(
    rows: list[audit_table.Row], width: int, terminal: bool
) -> None:
    colours: Literal["standard"] | None = "standard" if terminal else None
    ours, theirs = (
        Console(
            file=StringIO(), width=width, force_terminal=terminal, color_system=colours,
            highlight=False,
        )
        for _ in range(2)
    )  # fmt: skip
    audit_table.show_rows(rows, ours)
    theirs.print(audit_table._table(rows, *audit_table._layout(rows, width)), crop=False)
    assert isinstance(ours.file, StringIO)
    assert isinstance(theirs.file, StringIO)
    assert ours.file.getvalue() == theirs.file.getvalue()
