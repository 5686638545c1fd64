"""The page of a fleet: who is unlike comes first, and nothing foreign becomes markup."""

from __future__ import annotations

from pathlib import Path

from cgbench.judging import fleet
from cgbench.judging.fleet import Departure, Split, Standing
from cgbench.records.audit import Audit, Audited, Bound, Found, Limit
from cgbench.records.fleet import FleetRecord, Member, State
from cgbench.records.verdict import Outcome
from cgbench.reporting.pages.fleet import fleet_page
from cgbench.reporting.render import write_fleet
from cgbench.reporting.words import fleet as words
from tests.made import atlas_rows, sides
from tests.made.sides import HOSTILE

GOOD = {"cpus": Outcome.EFFECTIVE, "cpu-quota": Outcome.EFFECTIVE}
TABLES = {
    "a": atlas_rows.table(GOOD),
    "b": atlas_rows.table(GOOD | {"cpus": Outcome.IGNORED}),
    "c": atlas_rows.table(GOOD | {"cpu-quota": Outcome.INCONCLUSIVE}),
    "d": atlas_rows.table(GOOD),
}
TAGS = dict.fromkeys(TABLES, ("web",))


def record(*others: Member, command: str = "verify") -> FleetRecord:
    done = (
        Member(name=name, tags=TAGS[name], state=State.DONE, status=1, seconds=200.0,
               worker_cpu_s=0.5)
        for name in TABLES
    )  # fmt: skip
    return FleetRecord.model_validate({
        "name": "20261127T101530Z-abcd", "cgbench": "1", "started": "2026-11-27T10:15:30+00:00",
        "command": command, "arguments": (), "members": (*done, *others),
    })  # fmt: skip


LOST = Member(name="z", state=State.LOST, reason=f"its line was lost {HOSTILE}")


def test_who_is_unlike_comes_first_then_who_gave_nothing() -> None:
    page = fleet_page(record(LOST), fleet.of_tables(TABLES, TAGS), TABLES, {}, {})
    assert [one.name for one in page.hosts] == ["b", "z", "a", "c", "d"]
    assert page.headline == "4 of 5 hosts measured (1 lost): b is unlike its group"
    (group,) = page.groups
    cells = {cell.option: cell for cell in group.cells}
    assert (cells["cpus"].word, cells["cpus"].departing) == ("effective", ("b",))
    assert (cells["cpu-quota"].word, cells["cpu-quota"].open) == ("effective", 1)


def test_a_lost_host_has_no_verdict_and_no_group() -> None:
    page = fleet_page(record(LOST), fleet.of_tables(TABLES, TAGS), TABLES, {}, {})
    lost = next(one for one in page.hosts if one.name == "z")
    assert (lost.state, lost.group, lost.ended) == ("lost", None, "")


def test_nothing_foreign_becomes_markup(tmp_path: Path) -> None:
    departure = Departure("b", "limit", HOSTILE, HOSTILE, HOSTILE, 3, 4, HOSTILE)
    standing = Standing((), (departure,), (Split(HOSTILE, ((HOSTILE, 2),)),))
    path = write_fleet(
        record(LOST), standing, tmp_path / "page.html", tables={}, audits={}, points=(), gates={}
    )
    assert HOSTILE not in path.read_text()
    assert "&lt;script&gt;" in path.read_text()


def test_findings_of_audits_have_one_line_for_all_hosts(tmp_path: Path) -> None:
    limit = Limit(
        limit="memory", declared=2.0, expected={}, files={}, effective=1.0,
        bound_by=Bound(kind="container"), felt={}, finding=Found.DIFFERS, reason="it differs",
    )  # fmt: skip
    one = Audited(
        id="1" * 64, name="api", image="api:1", state="running", manager=None, limits=(limit,)
    )
    audits = {
        name: Audit(hostname=name, at="2026-11-27T10:00:00+00:00", seconds=0.1, containers=(one,))
        for name in TABLES
    }
    standing = fleet.of_audits(audits, {}, TAGS)
    page = fleet_page(record(command="audit"), standing, {}, audits, {})
    (finding,) = page.findings
    assert (finding.what, finding.hosts) == ("api: memory", tuple(TABLES))
    write_fleet(
        record(command="audit"), standing, tmp_path / "page.html", tables={}, audits=audits,
        points=(), gates={},
    )  # fmt: skip


def test_what_gates_found_has_one_line_for_all_hosts_the_worst_first() -> None:
    gates = {name: [sides.mixed()] for name in TABLES}
    page = fleet_page(record(command="gate"), Standing((), (), ()), {}, {}, {}, gates)
    assert page.findings
    assert {one.hosts for one in page.findings} == {tuple(TABLES)}
    assert page.findings[0].finding.endswith("regressed")
    assert not any(one.finding.endswith("unchanged") for one in page.findings)


def test_a_terminal_has_departures_then_hosts_that_gave_nothing() -> None:
    found = words.lines(record(LOST), fleet.of_tables(TABLES, TAGS))
    assert found[0] == "b: --cpus: ignored; 3 of 4 have effective"
    assert found[-1].startswith("z: lost: its line was lost")


def test_of_too_few_hosts_the_headline_says_so() -> None:
    few = FleetRecord.model_validate(record().model_dump() | {"members": record().members[:2]})
    assert words.headline(few, Standing((), (), ())) == (
        "2 hosts measured: too few to say which is unlike the others"
    )


def test_how_commands_ended_is_said_beside_who_is_unlike(tmp_path: Path) -> None:
    said = "something is not as it should be on 4 hosts (exit 1)"
    assert words.endings(record(LOST)) == said
    path = write_fleet(
        record(), Standing((), (), ()), tmp_path / "page.html", tables={}, audits={}, points=(),
        gates={},
    )  # fmt: skip
    assert said.capitalize() in path.read_text().replace("\N{NO-BREAK SPACE}", " ")
    good = [one.model_copy(update={"status": 0}) for one in record().members]
    assert words.endings(record().model_copy(update={"members": tuple(good)})) is None
