"""The report as a file: whole, self-contained, small, and its numbers those of the run."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from cgbench.errors import StoreError
from cgbench.judging.run import load
from cgbench.records.run_directory import RunDirectory
from cgbench.reporting import render
from cgbench.reporting.words import headline
from tests.made.run_builder import MadeUp, build, refuse


class Page(HTMLParser):
    """What a test wants to know of a page: elements with attributes, text outside scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "path", "circle"):
            self._open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & set(self._open):
            return
        self.text += data
        if {"h1", "h2", "h3"} & set(self._open):
            self.headings[-1] += data

    def having(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements that have the attribute `name`."""
        return [attributes for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return build(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def html(run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> str:
    return render.write([load(run)], tmp_path_factory.mktemp("out") / "report.html").read_text()


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def embedded(html: str, name: str) -> Any:
    """Return the JSON of the script element called `name`."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.S)
    assert found is not None
    return json.loads(found[1])


def test_the_page_is_small_and_stands_alone(html: str, page: Page) -> None:
    assert len(html.encode()) < render.MAXIMUM_BYTES
    for attribute in ("src", "srcset", "data", "action", "poster"):
        assert page.having(attribute) == []
    assert all(str(one["href"]).startswith("#") for one in page.having("href"))
    assert "link" not in {tag for tag, _ in page.elements}
    styles = re.findall(r"<style>(.*?)</style>", html, re.S)
    assert not any(word in style for style in styles for word in ("url(", "@import"))


def test_the_page_forbids_itself_the_network(page: Page) -> None:
    policies = [one["content"] for one in page.having("http-equiv")]
    assert [str(policy).startswith("default-src 'none'") for policy in policies] == [True]


def test_plotly_is_in_it_once(html: str) -> None:
    assert html.count("* plotly.js v") == 1


def test_the_parts_stand_in_the_promised_order(page: Page) -> None:
    assert page.headings[0].startswith("--cpu-quota held within")
    assert page.headings[1:] == [
        "The host",
        "Reasons to doubt these numbers",
        "Requested, enforced, experienced",
        "Expected against experienced",
        "Throttled periods and throttled time",
        "Stalls",
        "Time to effect",
        "One trial",
        "One change, millisecond by millisecond",
        "docker stats against the truth",
        "The host's speed",
        "How it was measured",
        "How to run it again",
        "Words and formulas",
    ]


def test_every_sentence_of_the_headline_is_on_the_page(run: RunDirectory, page: Page) -> None:
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for sentence in headline.sentences(load(run)):
        assert sentence.replace("`", "") in text


def test_the_summary_is_embedded_as_stored(run: RunDirectory, html: str) -> None:
    (only,) = embedded(html, "cgbench-summary")["runs"]
    assert only["run"] == run.run().run
    assert only["summary"] == [one.to_json() for one in load(run).summary]


def test_the_table_holds_the_numbers_of_the_summary(run: RunDirectory, page: Page) -> None:
    rows: list[tuple[str, dict[str, float]]] = []
    for _, attributes in page.elements:
        if "data-requested" in attributes:
            rows.append((str(attributes["data-requested"]), {}))
        elif "data-figure" in attributes:
            rows[-1][1][str(attributes["data-figure"])] = float(str(attributes["data-value"]))
    used = [entry for entry in load(run).summary if entry.metric == "cpus_used"]
    assert rows == [
        (
            entry.key.requested,
            {name: entry.to_json()[name] for name in
             ("expected", "median", "ci_low", "ci_high", "error_pct", "n_trials")},
        )
        for entry in used
    ]  # fmt: skip


def test_every_plot_has_its_place_and_a_text_alternative(html: str, page: Page) -> None:
    charts = [one for one in page.having("class") if one["class"] == "chart"]
    assert [one["id"] for one in charts] == list(embedded(html, "cgbench-plots"))
    assert all(one["role"] == "img" and len(str(one["aria-label"])) > 20 for one in charts)


def test_tables_have_captions_and_scopes(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert tags.count("caption") == tags.count("table") == 2
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")


def test_what_the_host_says_of_itself_is_escaped(html: str) -> None:
    assert str(escape("Model <1> & co")) in html
    assert "Model <1>" not in html


def test_the_command_that_repeats_the_run_is_on_the_page(page: Page) -> None:
    assert "cgbench run cpu-quota-sweep --trials 3 --seed 7" in page.text


def shown(directory: RunDirectory) -> Page:
    return Page(render.write([load(directory)], directory.path / "report.html").read_text())


def test_a_limit_that_was_not_held_is_marked_in_words_too(tmp_path: Path) -> None:
    made = MadeUp(trials=1, kernel=lambda _settings: (30_000, 100_000))
    page = shown(build(tmp_path, made))
    assert page.headings[0].startswith("--cpu-quota was not held at 2 of 6 values")
    assert page.text.count("not held") > 5


def test_a_value_that_docker_refused_keeps_its_row(tmp_path: Path) -> None:
    refusal = "docker update --cpu-quota 25000 was refused: too large"
    run = refuse(build(tmp_path, MadeUp(trials=1)), "25000", refusal)
    page = render.write([run], tmp_path / "report.html").read_text()
    rows = re.findall(r'<tr class="unjudged">.*?</tr>', page, flags=re.DOTALL)
    assert len(rows) == 1
    assert "--cpu-quota 25000" in rows[0]
    assert "<strong>refused</strong>: too large" in rows[0]


def test_files_that_hold_something_else_say_what_they_should(tmp_path: Path) -> None:
    page = shown(build(tmp_path, MadeUp(trials=1, file=lambda _: "7")))
    assert "should be 10000" in page.text


def test_what_nothing_is_expected_of_is_shown_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgbench.reporting.pages.run.judged", lambda *_: None)
    page = shown(build(tmp_path, MadeUp(trials=1)))
    medians = [one["data-value"] for one in page.having("data-figure")
               if one["data-figure"] == "median"]  # fmt: skip
    assert len(medians) >= 5
    assert None not in medians
    assert "not measured" not in page.text


@pytest.mark.parametrize(
    "made",
    [
        MadeUp(status="running", finished=0),
        MadeUp(trials=2, failed={1: "killed <by> nobody", 2: "removed"}),
        MadeUp(trials=2, failed={1: "killed"}),
        MadeUp(status="interrupted", finished=1),
        MadeUp(name="cpu-period-sweep", trials=1),
    ],
    ids=["no trial", "all failed", "one failed", "interrupted", "periods"],
)
def test_every_state_of_a_run_gives_a_page(tmp_path: Path, made: MadeUp) -> None:
    directory = build(tmp_path, made)
    page = shown(directory)
    assert headline.sentences(load(directory))[0].replace("`", "") in page.text.replace("\xa0", " ")
    for trial in load(directory).trials:
        assert trial.status == "ok" or f"Trial {trial.number}: {trial.reason}." in page.text


def test_many_runs_share_a_page_with_an_index(tmp_path: Path) -> None:
    runs = [build(tmp_path / "a", MadeUp(trials=1)),
            build(tmp_path / "b", MadeUp(name="cpu-period-sweep", trials=1))]  # fmt: skip
    html = render.write([load(run) for run in runs], tmp_path / "both.html").read_text()
    page = Page(html)
    assert page.headings[0] == "2 runs"
    assert [one["href"] for one in page.having("href")] == ["#run-1", "#run-2"]
    identities = [one["id"] for one in page.having("id")]
    assert len(identities) == len(set(identities))
    assert {"run-1", "run-2"} <= set(identities)
    assert html.count("* plotly.js v") == 1
    assert len(embedded(html, "cgbench-summary")["runs"]) == 2


def test_a_report_replaces_an_older_one_and_leaves_nothing_beside_it(
    run: RunDirectory, tmp_path: Path
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    assert render.write([load(run)], target) == target
    assert target.read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_is_reported_with_the_next_move(
    run: RunDirectory, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*No such file") as caught:
        render.write([load(run)], tmp_path / "absent" / "report.html")
    assert caught.value.advice == "Choose another place with -o FILE."
    (tmp_path / "taken").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        render.write([load(run)], tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_page_that_would_be_too_large_has_fewer_points(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = render.write([load(run)], tmp_path / "full.html").stat().st_size
    monkeypatch.setattr(render, "MAXIMUM_BYTES", full - 1)
    less = render.write([load(run)], tmp_path / "less.html")
    assert less.stat().st_size < full
    assert "* plotly.js v" in less.read_text()
    monkeypatch.setattr(render, "MAXIMUM_BYTES", 3_000_000)
    packed = render.write([load(run)], tmp_path / "packed.html")
    assert packed.stat().st_size < 3_000_000
    assert embedded(packed.read_text(), "cgbench-plots")
    monkeypatch.setattr(render, "MAXIMUM_BYTES", 1000)
    with pytest.raises(StoreError, match="over") as caught:
        render.write([load(run)], tmp_path / "none.html")
    assert caught.value.advice == "Report fewer runs at once."


def test_rows_that_were_never_written_are_derived_once(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(trials=1))
    (directory.path / "phases.parquet").unlink()
    shown(directory)
    assert directory.phases() is not None
