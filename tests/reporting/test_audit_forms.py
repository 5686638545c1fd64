"""An audit as JUnit and Markdown: findings fail, what was not read is said, no text is markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path

from cgbench.records.audit import Audit, Audited, Bound, Found, Limit, Missed
from cgbench.records.elsewhere import Elsewhere, NotSo, Unlike
from cgbench.reporting import junit, markdown, render
from cgbench.reporting.words import audit as audit_words
from cgbench.reporting.words import elsewhere

MISSED = Missed(
    container="good", limit="cpus", expected="cpus<=1", effective=None,
    reason="cpus<=1 is expected, and nothing limits it",
)  # fmt: skip
HOSTILE = "<b>|x|\x1b[31m"


def limit(finding: Found, reason: str = "why") -> Limit:
    return Limit(
        limit="pids", declared=50.0, expected={}, files={"/sys/fs/cgroup/pids.max": "7"},
        effective=7.0, bound_by=Bound(kind="container"), felt={}, finding=finding, reason=reason,
    )  # fmt: skip


def audit(*containers: Audited) -> Audit:
    return Audit(hostname="h", at="2026-01-01", seconds=0.1, containers=containers)


def container(name: str, *limits: Limit, unread: str | None = None) -> Audited:
    return Audited(
        id="abc", name=name, image="x", state="running", manager=None, limits=limits, unread=unread
    )


FOUND = audit(
    container("bad", limit(Found.DIFFERS, HOSTILE)), container("good", limit(Found.IN_FORCE)),
    container("gone", unread="it ended"),
)  # fmt: skip
WITH_MISSED = FOUND.model_copy(update={"missed": (MISSED,)})


def test_a_finding_fails_with_the_file_that_proves_it() -> None:
    root = ET.fromstring(junit.of_audit(WITH_MISSED))
    suites = {one.get("name"): one for one in root}
    assert [suites[name].get("failures") for name in ("bad", "good", "gone")] == ["1", "1", "0"]
    failure = suites["bad"].find("testcase/failure")
    assert failure is not None
    assert (failure.get("type"), failure.text) == ("differs", "cat /sys/fs/cgroup/pids.max")
    assert suites["gone"].get("skipped") == "1"
    missed = suites["good"].find("testcase[@name='cpus<=1']/failure")
    assert missed is not None, "each expectation has a name of its own"
    assert missed.get("message") == MISSED.reason
    assert "\x1b" not in junit.of_audit(FOUND)


def test_markdown_has_findings_and_what_was_missed_or_not_read() -> None:
    text = markdown.of_audit(WITH_MISSED)
    assert text.startswith("### 2 of 3 containers read, 1 finding, 1 expectation missed\n")
    assert "| `bad` | pids | differs | " in text
    assert "- `good`: cpus" in text
    assert "- `gone` was not read: it ended" in text
    assert "<b>" not in text
    assert "\x1b" not in text


ELSEWHERE = Elsewhere(
    row="trixie", title="a host", measured=date(2026, 11, 27),
    unlike=(Unlike(part="kernel", there="6.12", here="6.18"),
            Unlike(part="systemd", there=None, here="257")),
    options=("cpus", "pids-limit"),
    not_so=(NotSo(option="pids-limit", verdict="ignored", reason="it <b>stayed</b> 5"),),
)  # fmt: skip


def test_what_was_measured_elsewhere_is_told_as_that(tmp_path: Path) -> None:
    there = audit(container("web", limit(Found.IN_FORCE))).model_copy(
        update={"elsewhere": ELSEWHERE}
    )
    said = "most like this one (kernel 6.12, here 6.18; systemd not recorded, here 257): 1 of 2"
    text = markdown.of_audit(there)
    page = render.write_audit(there, tmp_path / "audit.html").read_text()
    for form in (text, page):
        assert said in form
        assert "--pids-limit: ignored: it" in form
        assert "<b>" not in form
    assert "Measured there, not here." in page
    assert there.findings == []


def test_where_all_held_elsewhere_nothing_is_listed() -> None:
    held = ELSEWHERE.model_copy(update={"not_so": (), "unlike": ()})
    assert elsewhere.headline(held) == (
        "of the measured hosts trixie is most like this one (the same in every part that is told "
        "apart): all of 2 options held"
    )
    assert elsewhere.not_so(held) == []
    assert elsewhere.flags(ELSEWHERE) == "--pids-limit ignored"


def test_an_audit_without_findings_has_no_table() -> None:
    assert markdown.of_audit(audit(container("good", limit(Found.IN_FORCE)))) == (
        "### 1 container read, 0 findings\n\n"
    )


def test_a_page_has_findings_first_every_file_for_cat_and_no_library(tmp_path: Path) -> None:
    page = render.write_audit(WITH_MISSED, tmp_path / "a.html")
    text = page.read_text()
    assert text.index("Findings") < text.index('id="container-1"')
    assert "Of 2 containers (1 more was not read), 1 limit is not what it says, and 1" in text
    assert text.count("cat /sys/fs/cgroup/pids.max") == 3, "the finding, and each container's row"
    assert "cpus&lt;=1 is expected" in text
    assert "Not read: it ended" in text
    assert "<b>|x|" not in text
    assert "\x1b" not in text
    assert len(text) < 100_000


def test_a_page_without_findings_says_so(tmp_path: Path) -> None:
    good = audit(container("good", limit(Found.IN_FORCE)), container("free"))
    text = render.write_audit(good, tmp_path / "a.html").read_text()
    assert "Of 2 containers, every limit is what it says" in text
    assert "Findings" not in text
    assert "nothing limits it" in text


def test_a_page_does_not_say_that_all_is_well_over_an_expectation_that_is_missed(
    tmp_path: Path,
) -> None:
    good = audit(container("good", limit(Found.IN_FORCE))).model_copy(update={"missed": (MISSED,)})
    text = render.write_audit(good, tmp_path / "a.html").read_text()
    assert "every limit is what it says, and 1 expectation is missed" in text


def test_what_is_felt_is_not_rounded_to_all_or_nothing() -> None:
    cpus = limit(Found.IN_FORCE).model_copy(
        update={"limit": "cpus", "felt": {"throttled_periods_pct": 99.52}}
    )
    assert audit_words.felt(cpus) == "throttled >99 %"


def test_a_page_of_containers_that_were_not_read_does_not_say_that_all_is_well() -> None:
    assert audit_words.headline(audit(container("gone", unread="it ended"))) == (
        "Of 0 containers (1 more was not read), nothing is known of any limit"
    )
