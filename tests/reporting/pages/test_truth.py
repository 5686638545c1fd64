"""The page of truth tables: its words come from the table, its text is escaped, parts may lack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgbench.errors import StoreError
from cgbench.records import truth, writing
from cgbench.records.idle_findings import Felt, Meeting
from cgbench.records.results import find_truth
from cgbench.records.truth import SIGNS, TruthTable
from cgbench.records.verdict import Enforced, Outcome, TimeToEffect
from cgbench.reporting import render
from cgbench.reporting.pages.interaction_grid import FELT_MARKS, FELT_WORDS, MARKS, WORDS, grid
from cgbench.reporting.pages.truth import WORST_FIRST, truth_page
from cgbench.reporting.plots.time_to_effect import time_to_effect
from cgbench.reporting.words import truth as truth_words
from cgbench.reporting.words import truth_cells
from cgbench.spec.options import OPTIONS
from cgbench.wording import MINUS
from tests.made.command import cgbench
from tests.made.truth_tables import HOSTILE, attempt, lifting, meeting, row, table, unseen, verdict
from tests.reporting.test_render import Page, embedded

EFFECTIVE, IGNORED, IMPRECISE = Outcome.EFFECTIVE, Outcome.IGNORED, Outcome.IMPRECISE
ALL = tuple(Outcome)


def written(tmp_path: Path, *tables: TruthTable) -> str:
    return render.write_truth(tables, tmp_path / "report.html").read_text()


# Headline


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ((EFFECTIVE,), "1 of 1 option of `docker update` does what it says on this host."),
        ((EFFECTIVE,) * 3, "All 3 options of `docker update` do what they say on this host."),
        (
            (EFFECTIVE, Outcome.UNSUPPORTED, Outcome.REJECTED),
            "1 of 3 options of `docker update` does what it says on this host, "
            "and none was seen to do anything else.",
        ),
        (
            (IGNORED, EFFECTIVE),
            "1 of 2 options of `docker update` is not what it says on this host: "
            "`--cpus` is accepted and never reaches the kernel.",
        ),
        (
            (IGNORED, Outcome.DISCARDED, Outcome.INEFFECTIVE, IMPRECISE, EFFECTIVE),
            "4 of 5 options of `docker update` are not what they say on this host: "
            "`--cpus` and `--cpu-quota` are accepted and never reach the kernel; "
            "`--cpu-period` is set in the kernel without an effect; "
            "`--cpu-shares` takes hold outside the tolerance.",
        ),
        (
            (Outcome.REVERTED, Outcome.REVERTED),
            "2 of 2 options of `docker update` are not what they say on this host: "
            "`--cpus` and `--cpu-quota` take hold and do not last.",
        ),
        (
            (EFFECTIVE, Outcome.WRONG),
            "1 of 2 options of `docker update` is not what it says on this host: "
            "`--cpu-quota` does not do what was asked, or more than that.",
        ),
        (
            (EFFECTIVE, Outcome.PARTIAL),
            "1 of 2 options of `docker update` does what it says on this host, and none was seen "
            "to do anything else.",
        ),
    ],
)
def test_the_headline_counts_what_the_table_holds(outcomes: tuple[Outcome, ...], text: str) -> None:
    assert truth_words.headline(table(*outcomes)) == text


def test_a_refusal_that_changes_the_kernel_all_the_same_is_in_the_headline() -> None:
    one = table(EFFECTIVE, Outcome.REJECTED)
    lying = one.rows[1].verdict.model_copy(update={"refused_yet_changed": True})
    found = one.model_copy(
        update={"rows": (one.rows[0], one.rows[1].model_copy(update={"verdict": lying}))}
    )
    assert truth_words.headline(found) == (
        "1 of 2 options of `docker update` is not what it says on this host: "
        "`--cpu-quota` is refused and changes all the same."
    )
    assert [line.tone for line in truth_page([found]).lines] == ["fiction", "holds"]


def test_hosts_are_compared_by_verdict() -> None:
    one, other = table(EFFECTIVE, EFFECTIVE), table(EFFECTIVE, IGNORED)
    assert truth_words.differing_options([one, one]) == []
    assert truth_words.differing_options([one, other]) == ["cpu-quota"]
    assert truth_words.compared([one, one], ["a", "b"]) == (
        "a and b agree on 2 options of `docker update`."
    )
    assert truth_words.compared([one, other], ["a", "b"]) == (
        "a and b disagree on 1 of 2 options of `docker update`: `--cpu-quota`."
    )


# Findings


def test_findings_tell_holds_open_questions_times_surprises_and_pairs() -> None:
    text = "\n".join(truth_words.findings(table(EFFECTIVE, Outcome.REJECTED, Outcome.INCONCLUSIVE)))
    assert "1 of 3 hold within the tolerance; the largest error is +0.50 %" in text
    assert "Every update of `--cpu-quota` is refused; `--cpu-period` is undecided." in text
    assert "reaches the workload 50 ms after the request" in text
    assert "a container with it does not come back from a restart" in text
    assert "`--cpus 2 --memory 64m`: lost in an update of another option" in text
    assert "`1`: refused, and yet something changed" in text
    assert "no update that was tried lifts it again" in text
    assert "the answer came before the effect, in 2 changes" in text
    assert "1 of 5 ordered pairs of options disturb what was set first, and 1 are refused" in text


def test_options_of_which_some_updates_are_refused_are_found() -> None:
    text = "\n".join(truth_words.findings(table(EFFECTIVE, Outcome.PARTIAL)))
    assert "Some updates of `--cpu-quota` are refused." in text


def test_each_value_that_departs_has_its_reason_on_the_page() -> None:
    one = truth_page([table(EFFECTIVE, Outcome.WRONG)])
    departing = {line.option: line.cells[0].departing for line in one.lines if line.cells[0]}
    assert departing["cpus"] == ()
    assert [value.label for value in departing["cpu-quota"]] == ["64m"]


def test_what_fails_shows_the_files_of_the_value_that_failed() -> None:
    """Met by a new user: a `wrong` row showed the last value, which held, with ticks alone."""
    files = {
        "memory.max": Enforced(before="5", after="5", expected="max"),
    }  # fmt: skip
    one = verdict("memory", Outcome.WRONG)
    (value,) = one.values
    odd = value.model_copy(update={"requested": "-1", "files": files})
    failing = one.model_copy(update={"values": (value, odd)})
    made = table(Outcome.WRONG).model_copy(
        update={"rows": (row("memory", Outcome.WRONG).model_copy(update={"verdict": failing}),)}
    )
    (line,) = truth_page([made]).lines
    (cell,) = line.cells
    assert cell is not None
    assert cell.at == "-1"
    assert [(each.file, each.after, each.good) for each in cell.files] == [
        ("memory.max", "5 B", False)
    ]
    assert truth_page([table(Outcome.WRONG)]).lines[0].cells[0].at is None  # type: ignore[union-attr]


def test_what_a_workload_felt_is_in_each_cell_and_the_disturbed_in_words(tmp_path: Path) -> None:
    found = table(EFFECTIVE, EFFECTIVE, EFFECTIVE)
    (line,) = [one for one in truth_words.findings(found) if "whose effect a workload" in one]
    assert line == (
        "Of 5 ordered pairs whose effect a workload shows, 2 keep it or follow what both ask for, "
        "1 lose it, and 2 are open."
    )
    laid_out = grid(found.interactions)
    assert laid_out is not None
    cells = [pair for _, pairs in laid_out.rows for pair in pairs if pair is not None]
    assert [cell.felt for cell in cells[:5]] == ["✓", "→", "≠", "?", "–"]
    assert "Effect kept: cpus_used was 2 CPUs" in cells[0].text
    assert "(1.1 CPUs until it was steady)" in cells[0].text
    page = render.write_truth([found], tmp_path / "t.html").read_text()
    assert "Effect disturbed" in page
    assert HOSTILE not in page


def test_a_grid_without_effects_has_no_second_sign(tmp_path: Path) -> None:
    found = table(EFFECTIVE, EFFECTIVE, EFFECTIVE)
    bare = tuple(one.model_copy(update={"effect": None}) for one in found.interactions)
    older = found.model_copy(update={"interactions": bare})
    laid_out = grid(older.interactions)
    assert laid_out is not None
    assert laid_out.felt_legend == ()
    assert laid_out.felt == ()
    assert truth_words.effects(older) is None
    page = render.write_truth([older], tmp_path / "t.html").read_text()
    assert "second sign" not in page


def test_what_undid_an_option_is_on_the_page(tmp_path: Path) -> None:
    (one,) = table(Outcome.REVERTED).rows
    undone = one.verdict.model_copy(update={"undone_by": ("--memory 96m: a file changed",)})
    found = table(Outcome.REVERTED).model_copy(
        update={"rows": (one.model_copy(update={"verdict": undone}),)}
    )
    page = render.write_truth([found], tmp_path / "t.html").read_text()
    assert "Undone, while Docker still declares it" in page
    assert "by --memory 96m: a file changed" in page
    assert "another update: lost" in page


def test_a_limit_that_stays_is_a_row_of_the_page_and_among_the_findings(tmp_path: Path) -> None:
    found = table(EFFECTIVE)
    page = render.write_truth([found], tmp_path / "t.html").read_text()
    assert "Lifting the limit" in page
    assert "402653184 → 402653184" in page
    assert any(
        "`--memory-swap -1` after `--memory 64m --memory-swap 384m` is accepted and lifts nothing: "
        "Docker declares MemorySwap -1, and memory.memsw.limit_in_bytes holds 402653184" in sentence
        for sentence in truth_words.findings(found)
    )


def test_what_is_lifted_and_still_declared_is_said_and_so_is_a_refusal_that_lifts() -> None:
    one = lifting("memory-swap", lifted=True).model_copy(update={"right": False})
    assert "lifts it, yet Docker declares MemorySwap -1" in truth_cells.astray(one)
    refused = one.model_copy(update={"outcome": "rejected"})
    assert "is refused, yet Docker declares MemorySwap -1" in truth_cells.astray(refused)


def test_nothing_is_found_where_nothing_was_measured() -> None:
    assert truth_words.findings(table(IGNORED, bare=True)) == []


def test_a_workload_that_felt_nothing_has_not_settled() -> None:
    assert truth_cells.times(verdict("cpus", EFFECTIVE)).experienced == 50
    for outcome in (IGNORED, Outcome.INEFFECTIVE, Outcome.UNSUPPORTED):
        assert truth_cells.times(verdict("cpus", outcome)).experienced is None
        assert truth_cells.times(verdict("cpus", outcome)).answer == 15


def test_a_limit_is_liftable_if_any_update_lifted_it() -> None:
    base = row("cpus", EFFECTIVE)
    lifted = attempt("cpus").model_copy(update={"lifted": True})
    untried = attempt("cpus").model_copy(update={"lifted": None})
    assert truth_cells.liftable(base) is False
    assert truth_cells.liftable(base.model_copy(update={"bounds": (*base.bounds, lifted)})) is True
    nothing = base.model_copy(update={"bounds": (untried,), "liftings": ()})
    assert truth_cells.liftable(nothing) is None
    by_another = nothing.model_copy(update={"liftings": (lifting("cpus", lifted=True),)})
    assert truth_cells.liftable(by_another) is True


# Cells


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (None, "CPUs", "–"),
        (0.1, "CPUs", "0.1 CPUs"),
        (0.10274, "CPUs", "0.1027 CPUs"),
        (12.0, "tasks", "12 tasks"),
        (100.0, "%", "100 %"),
        (0.0, "ms", "0 ms"),
        (67108864.0, "bytes", "64 MiB"),
    ],
)
def test_values_are_short_and_keep_their_unit(number: float | None, unit: str, text: str) -> None:
    assert truth_cells.value(number, unit) == text


def test_sizes_are_shown_as_sizes_unless_that_hides_an_error() -> None:
    right = Enforced(before="9223372036854771712", after="67108864", expected="67108864")
    assert truth_cells.file_change("memory", right) == ("no limit", "64 MiB", "64 MiB")
    near = Enforced(before=None, after="67108865", expected="67108864")
    assert truth_cells.file_change("memory", near) == ("absent", "67108865", "67108864")
    shares = Enforced(before="1024", after="2", expected=None)
    assert truth_cells.file_change("cpu-shares", shares) == ("1024", "2", None)


def test_metrics_are_named_without_their_unit() -> None:
    assert truth_cells.metric("cpus_used") == "CPUs used"
    assert truth_cells.metric("io_share_pct") == "share of I/O"
    assert truth_cells.metric("restarts") == "restarts"


def test_the_band_stands_beside_each_value(tmp_path: Path) -> None:
    # A table of an earlier cgbench tells one width.
    assert "±512 KiB" in written(tmp_path, table(EFFECTIVE))


def test_a_band_that_reaches_less_far_above_stands_beside_its_value_both_ways() -> None:
    point = verdict("memory", Outcome.EFFECTIVE).experienced[0]
    assert truth_cells.band(point) == "±512 KiB"
    narrow = point.model_copy(update={"tolerance_above": 262144.0})
    assert truth_cells.band(narrow) == f"{MINUS}512 KiB +256 KiB"


def test_the_worst_point_is_one_outside_the_band_if_there_is_one() -> None:
    one = verdict("cpus", IMPRECISE)
    inside = one.experienced[0].model_copy(update={"error_pct": 9.0})
    outside = one.experienced[0].model_copy(update={"error_pct": -3.0, "within": False})
    unjudged = one.experienced[0].model_copy(update={"error_pct": 99.0, "within": None})
    points = (inside, outside, unjudged)
    assert truth_cells.worst_point(one.model_copy(update={"experienced": points})) == outside
    assert truth_cells.worst_point(one.model_copy(update={"experienced": (unjudged,)})) is None


def test_every_verdict_and_every_meeting_has_a_sign_and_a_place() -> None:
    assert set(SIGNS) == set(Outcome) == set(WORST_FIRST)
    assert set(MARKS) == set(WORDS) == set(Meeting)
    assert len(set(MARKS.values())) == len(Meeting)
    assert set(FELT_MARKS) == set(FELT_WORDS) == set(Felt)
    assert len(set(FELT_MARKS.values())) == len(Felt)


# Page


def test_the_worst_come_first_and_filters_count_all() -> None:
    page = truth_page([table(*ALL)])
    found = [cell.verdict.verdict for line in page.lines for cell in line.cells if cell]
    assert tuple(found) == WORST_FIRST
    assert sum(number for _tone, _words, number in page.filters) == len(ALL)
    assert page.filters[0] == ("fiction", "not in force", 5)


def test_equal_verdicts_keep_the_order_of_the_registry() -> None:
    page = truth_page([table(*(EFFECTIVE,) * len(OPTIONS))])
    assert [line.option for line in page.lines] == list(OPTIONS)


def test_the_page_holds_the_table_as_json_and_asks_for_nothing(tmp_path: Path) -> None:
    one = table(*ALL)
    html = written(tmp_path, one)
    assert embedded(html, "cgbench-truth") == [one.to_json()]
    page = Page(html)
    for attribute in ("src", "srcset", "data", "action", "poster"):
        assert page.having(attribute) == []
    assert all(str(one["href"]).startswith("#") for one in page.having("href"))
    assert len(html.encode()) < render.MAXIMUM_BYTES


def test_what_docker_says_never_becomes_markup(tmp_path: Path) -> None:
    html = written(tmp_path, table(*ALL), table(*ALL, hostname=HOSTILE))
    assert HOSTILE not in html
    assert "<code>this</code>" not in html
    assert '<code class="word">this</code>' in html


def test_links_lead_to_a_section_of_each_option(tmp_path: Path) -> None:
    page = Page(written(tmp_path, table(*ALL)))
    names = {str(one["id"]) for one in page.having("id")}
    links = {str(one["href"])[1:] for one in page.having("href")}
    assert links <= names
    assert set(list(OPTIONS)[: len(ALL)]) <= links


def test_a_table_of_bare_verdicts_makes_a_page(tmp_path: Path) -> None:
    html = written(tmp_path, table(*ALL, bare=True))
    page = Page(html)
    assert "Interactions" not in page.headings
    assert embedded(html, "cgbench-plots") == {}
    assert page.text.count("no figure") == len(ALL)


def test_several_hosts_stand_side_by_side_with_differences_marked(tmp_path: Path) -> None:
    one, other = table(EFFECTIVE, EFFECTIVE, hostname="a"), table(IGNORED, hostname="b", bare=True)
    page = truth_page([one, other])
    assert [line.option for line in page.lines] == ["cpus", "cpu-quota"]
    assert [line.differs for line in page.lines] == [True, False]
    assert page.lines[1].cells[1] is None
    text = Page(written(tmp_path, one, other)).text
    assert text.count("≠ verdicts differ") == 1
    assert "not measured" in text


def test_several_hosts_share_one_plot_of_times() -> None:
    page = truth_page([table(EFFECTIVE, hostname="a"), table(EFFECTIVE, hostname="b")])
    assert page.times is not None
    assert [key.label for key in page.times.keys[:2]] == [
        "a, kernel 6.1.0, cgroup v1", "b, kernel 6.1.0, cgroup v1",
    ]  # fmt: skip
    alone = truth_page([table(EFFECTIVE)])
    assert list(alone.plots()) == ["truth-effect"]
    assert alone.facts == ()


def test_hosts_of_one_name_get_different_names() -> None:
    names = [host.name for host in truth_page([table(EFFECTIVE), table(EFFECTIVE)]).hosts]
    assert len(set(names)) == 2


# Grid and plot


def test_the_grid_has_a_cell_per_pair_and_none_on_the_diagonal() -> None:
    found = grid([meeting("cpus", "memory", Meeting.DISTURBED),
                  meeting("memory", "cpus", Meeting.A_FAILED)])  # fmt: skip
    assert found is not None
    assert found.options == ("cpus", "memory")
    ((_, (none, disturbed)), (_, (failed, _))) = found.rows
    assert none is None
    assert disturbed is not None
    assert disturbed.mark == "✗"
    assert "cpu.shares: 1 → 2" in disturbed.text
    assert failed is not None
    assert failed.kind == "a-failed"
    assert [one.b for one in found.disturbed] == ["memory"]
    assert len(found.failures) == 1
    assert grid([]) is None


def test_the_plot_leaves_out_what_was_not_seen() -> None:
    nothing = TimeToEffect(answer=None, enforced=None, experienced=None)
    still = TimeToEffect(answer=15.0, enforced=None, experienced=0.0)
    assert time_to_effect([("--a", nothing)], "effect") is None
    plot = time_to_effect([("--a", nothing), ("--b", still)], "effect")
    assert plot is not None
    assert plot.layout["yaxis"]["categoryarray"] == ["--b"]
    assert [trace["y"] for trace in plot.data[1:]] == [["--b"], [], []]


# Files


def test_a_truth_table_is_found_by_file_directory_and_name(tmp_path: Path) -> None:
    results = tmp_path / "results"
    kept = [
        writing.write_file(results / "verify" / name / "truth.json", "{}")
        for name in ("20260101T000000Z-0001", "20260102T000000Z-0002")
    ]
    assert find_truth(str(kept[0]), results) == kept[0]
    assert find_truth(str(kept[0].parent), results) == kept[0]
    assert find_truth("20260102", results) == kept[1]
    assert find_truth("verify", results) == kept[1]
    assert find_truth("2026", results) is None
    assert find_truth("cpu-quota-sweep", results) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1}', "no 'options'"),
        ('{"schema_version": 1, "options": 3}', "not a truth table"),
    ],
)
def test_a_file_that_is_no_truth_table_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = writing.write_file(tmp_path / "truth.json", text)
    with pytest.raises(StoreError, match=reason):
        truth.read(path)


def test_the_command_writes_the_page_beside_the_table(tmp_path: Path) -> None:
    one = table(EFFECTIVE, IGNORED)
    path = writing.write_file(tmp_path / "truth.json", json.dumps(one.to_json()))
    assert truth.read(path) == one
    done = cgbench("report", path.parent)
    assert done.returncode == 0, done.stderr
    assert embedded((tmp_path / "report.html").read_text(), "cgbench-truth") == [one.to_json()]


def test_a_run_that_is_neither_table_nor_run_is_named(tmp_path: Path) -> None:
    path = writing.write_file(tmp_path / "truth.json", json.dumps(table(EFFECTIVE).to_json()))
    done = cgbench("report", path, "cpu-quota-sweep", "--results", tmp_path)
    assert done.returncode == 2
    assert "no run called cpu-quota-sweep" in done.stderr


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        render.write_truth([table(EFFECTIVE)], tmp_path / "nowhere" / "report.html")


def test_a_verdict_without_anything_behind_it_has_short_cells() -> None:
    one = unseen("cpus", Outcome.UNSUPPORTED)
    assert truth_cells.declared(one.declared) == "not tried"
    assert truth_cells.control(one) is None
    assert truth_cells.worst_point(one) is None
