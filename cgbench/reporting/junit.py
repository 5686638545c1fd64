"""Verdicts, comparisons and audits as JUnit XML, in the format that Jenkins and GitLab read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cgbench.foreign import printable
from cgbench.records.audit import Audit
from cgbench.records.baseline import Baseline
from cgbench.records.comparison import Comparison, Finding, Judgement
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Outcome
from cgbench.reporting.words import baseline, states
from cgbench.reporting.words.comparison import change, headline, regression, where
from cgbench.spec.options import OPTIONS
from cgbench.wording import quantity


@dataclass(frozen=True)
class _Case:
    """One test case: `result` is None where it passed; `kind` and `detail` are of a failure."""

    name: str
    result: Literal["failure", "skipped"] | None
    message: str
    output: str | None = None
    kind: str = ""
    detail: str | None = None


def of_truth(table: TruthTable, excuses: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a truth table: an option that is not in force fails, an undecided one is skipped.

    So is one with an excuse.
    """
    cases = [_excused(_option(row), excuses.get(row.verdict.option)) for row in table.rows]
    suite = _suite("cgbench verify", "cgbench.verify", cases)
    suite.set("hostname", table.host.hostname)
    suite.set("timestamp", table.started)
    suite.set("time", f"{table.elapsed_s:.3f}")
    return _text(suite)


def of_audit(audit: Audit) -> str:
    """Return an audit, a suite for each container: a finding fails, and so does an expectation that
    is missed. A container that was not read is skipped.
    """
    root = ET.Element("testsuites", name="cgbench audit")
    for container in audit.containers:
        cases = [
            _Case(limit.limit, None if limit.finding.good else "failure", limit.reason,
                  f"{limit.finding.value}: {limit.reason}", limit.finding.value,
                  "\n".join(f"cat {path}" for path in limit.proven_by))
            for limit in container.limits
        ]  # fmt: skip
        if container.unread is not None:
            cases = [_Case("read", "skipped", container.unread)]
        cases += [_Case(one.expected, "failure", one.reason, kind="missed")
                  for one in audit.missed if one.container == container.name]  # fmt: skip
        root.append(_suite(container.name, "cgbench.audit", cases))
    return _text(root)


def of_comparisons(many: Sequence[Comparison]) -> str:
    """Return comparisons, a suite each: regressions fail, undecided findings are skipped."""
    root = ET.Element("testsuites", name="cgbench gate")
    for found in many:
        cases = [_finding(one, found.level) for one in found.findings]
        nothing = _Case("comparable", "skipped", headline(found))
        root.append(_suite(found.experiment, "cgbench.gate", cases or [nothing]))
    return _text(root)


def of_baseline(kept: Baseline) -> str:
    """Return a baseline, a case for each series: all are skipped, since nothing was compared."""
    cases = [
        _Case(
            one.where, "skipped", baseline.NO_VERDICT,
            "no value" if one.median is None else f"median {quantity(one.median, one.unit)}",
        )
        for one in baseline.levels(kept)
    ]  # fmt: skip
    root = ET.Element("testsuites", name="cgbench gate")
    root.append(_suite(kept.experiment, "cgbench.gate", cases))
    return _text(root)


def _excused(case: _Case, why: str | None) -> _Case:
    if why is None or case.result is None:
        return case
    return _Case(case.name, "skipped", f"{why}; {case.message}", case.output)


def _option(row: Row) -> _Case:
    one = row.verdict
    name, words = OPTIONS[one.option].flag, f"{one.verdict.value}: {one.reason}"
    if row.belied and not one.fails:
        said = "; ".join(states.surprises(row))
        return _Case(name, "failure", said, words, "in another state", one.advice)
    if one.fails:
        return _Case(name, "failure", one.reason, words, one.verdict.value, one.advice)
    undecided = one.verdict in (Outcome.UNSUPPORTED, Outcome.INCONCLUSIVE)
    return _Case(name, "skipped" if undecided else None, words, words)


def _finding(one: Finding, level: float) -> _Case:
    name, words = where(one), f"{change(one)}: {one.reason}"
    if one.judgement is Judgement.REGRESSED:
        return _Case(name, "failure", regression(one, level), words, one.judgement.value)
    undecided = one.judgement in (Judgement.INCONCLUSIVE, Judgement.INCOMPARABLE)
    why = f"{one.judgement.value}: {one.reason}"
    return _Case(name, "skipped" if undecided else None, why, words)


def _suite(name: str, classname: str, cases: Sequence[_Case]) -> ET.Element:
    suite = ET.Element("testsuite", name=name, tests=str(len(cases)))
    for result in ("failure", "skipped"):
        number = sum(case.result == result for case in cases)
        suite.set("failures" if result == "failure" else result, str(number))
    for case in cases:
        element = ET.SubElement(suite, "testcase", classname=classname, name=case.name)
        if case.result is not None:
            result_element = ET.SubElement(element, case.result, message=case.message)
            if case.result == "failure":
                result_element.set("type", case.kind)
                result_element.text = case.detail
        if case.output is not None:
            ET.SubElement(element, "system-out").text = case.output
    return suite


def _text(root: ET.Element) -> str:
    """Return a document, of which every text and attribute may be shown in a terminal.

    No XML file may hold most control characters: a terminal's colours in Docker's words, say (XML
    1.0, section 2.2).
    """
    for element in root.iter():
        element.text = None if element.text is None else printable(element.text)
        for name, value in element.attrib.items():
            element.set(name, printable(value))
    return ET.tostring(root, encoding="unicode", xml_declaration=True)
