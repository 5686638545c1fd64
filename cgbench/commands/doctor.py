"""What this host offers for measuring, what it lacks, how noisy it is, and what to do about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from cgbench.commands import atlas
from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.errors import CgbenchError
from cgbench.host import cpu_time, description, lock, preconditions
from cgbench.host.scratch import leftovers as scratch
from cgbench.judging import checks
from cgbench.measuring.idle import containers
from cgbench.measuring.site import Site
from cgbench.records.atlas import shipped
from cgbench.records.host import Host
from cgbench.records.results import new_run_name
from cgbench.reporting.words import elsewhere as words
from cgbench.spec import conversions, options, workload
from cgbench.spec.precondition import Precondition
from cgbench.units import format_size
from cgbench.wording import count

Status = Literal["ok", "note", "bad"]

_LISTEN_S = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `bad` means that cpu-quota-sweep cannot run."""

    name: str
    status: Status
    text: str
    advice: str | None = None


@dataclass(frozen=True)
class Examination:
    """All findings, and the host where Docker answers."""

    host: Host | None
    findings: tuple[Finding, ...]

    @property
    def able(self) -> bool:
        """Whether cpu-quota-sweep can run here."""
        return not any(finding.status == "bad" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "able": self.able,
            "host": None if self.host is None else self.host.model_dump(),
            "findings": [
                {"name": one.name, "status": one.status, "text": one.text, "advice": one.advice}
                for one in self.findings
            ],
        }

    def to_text(self) -> str:
        """Return it as lines for a terminal."""
        marks = {"ok": "ok  ", "note": "note", "bad": "BAD "}
        lines = []
        for one in self.findings:
            lines.append(f"{marks[one.status]}  {one.name}: {one.text}")
            if one.advice is not None:
                lines.append(f"      {one.advice}")
        verdict = "can" if self.able else "cannot"
        return "\n".join([*lines, f"cpu-quota-sweep {verdict} run on this host."])


def examine() -> Examination:
    """Look at everything; needs neither root nor Docker to say what is missing."""
    findings = [_privileges()]
    described: Host | None = None
    try:
        engine = Engine()
    except CgbenchError as error:
        findings.append(Finding("Docker", "bad", error.message, error.advice))
    else:
        described = description.describe(engine.describe())
        findings += _docker(engine, described)
        findings += _elsewhere(described)
        engine.close()
    findings += _scratch()
    findings += [_precondition(name) for name in Precondition]
    findings += _noise()
    return Examination(described, tuple(findings))


def _privileges() -> Finding:
    try:
        preconditions.require_measurable()
    except CgbenchError as error:
        return Finding("privileges", "bad", error.message, error.advice)
    return Finding("privileges", "ok", "root, and room for probes in /dev/shm")


def _docker(engine: Engine, described: Host) -> list[Finding]:
    findings = [
        Finding(
            "Docker", "ok",
            f"{described.engine_words} (API {described.docker_api}), {described.runtime_words}, "
            f"{described.cgroup_driver} driver, {described.storage_driver}",
        ),
        Finding(
            "kernel", "ok",
            f"{described.kernel}, cgroup {described.cgroup}, {described.cpus} CPUs "
            f"({described.cpu_model}), {format_size(described.memory_bytes)}, "
            + (f"{described.timer_hz} Hz timer" if described.timer_hz else "timer unknown"),
        ),
    ]  # fmt: skip
    tag = image.tag(workload.directory())
    if engine.images.has_image(tag):
        findings.append(Finding("image", "ok", tag))
        findings += _conversion(engine, tag)
    else:
        lack = image.missing(tag)
        findings.append(Finding("image", "bad", lack.message, lack.advice))
    leftovers = engine.leftovers()
    holder = lock.holder()
    if holder is not None:
        findings.append(
            Finding(
                "another cgbench", "note", f"process {holder} is measuring on this host",
                "Wait for it, as --wait 10m does; what is said of noise is beside its load.",
            )
        )  # fmt: skip
    elif leftovers:
        findings.append(
            Finding(
                "leftovers", "note", f"{count(len(leftovers), 'container')} of an earlier run",
                "If none is going on: cgbench clean.",
            )
        )  # fmt: skip
    return findings


def _elsewhere(described: Host) -> list[Finding]:
    """Say what was measured on the host of the atlas that is most like this one."""
    name = "measured elsewhere"
    found = atlas.nearest(described, shipped())
    if found is None:
        text = f"the atlas has no host with cgroup {described.cgroup}"
        return [Finding(name, "note", text, "Measure this one: cgbench verify.")]
    text = words.headline(found)
    if not found.not_so:
        return [Finding(name, "ok", text)]
    return [Finding(name, "note", f"{text}: {words.flags(found)}", words.ADVICE)]


def _conversion(engine: Engine, tag: str) -> list[Finding]:
    """Ask the runtime for a container with shares, and see what weight it makes of them."""
    one = options.option("cpu-shares")
    site = Site(engine, tag, new_run_name())
    try:
        with (
            containers.Supply(site, ahead=0) as supply,
            supply.born(options.update_body({one.name: one.example})) as (_answer, born),
        ):
            held = None if born is None else born.held(one).enforced
            file = None if born is None else born.file(one)
    except CgbenchError as error:
        return [Finding("shares", "note", error.message, error.advice)]
    found = conversions.conversion(int(one.example), held)
    if file is None or found is None:
        return []
    text = f"{one.flag} {one.example} became {file} {held}: the conversion is {found}"
    return [Finding("shares", "ok", text)]


def _scratch() -> list[Finding]:
    left = scratch.leftovers()
    if not left:
        return []
    return [
        Finding(
            "scratch", "note", f"left by a cgbench that was killed: {', '.join(left)}",
            "Give it back: cgbench clean.",
        )
    ]  # fmt: skip


def _precondition(name: Precondition) -> Finding:
    met = preconditions.preconditions([name])[str(name)]
    if met:
        return Finding(str(name), "ok", "met")
    essential = name is Precondition.CPU_BANDWIDTH
    return Finding(
        str(name), "bad" if essential else "note", f"not met: {preconditions.reason(name)}",
        "`cgbench run` of an experiment that requires it ends with exit status 4.",
    )  # fmt: skip


def _noise() -> list[Finding]:
    """Listen for a second to what else uses the CPUs."""
    before = cpu_time.cpu_times(())
    time.sleep(_LISTEN_S)
    after = cpu_time.cpu_times(())
    elapsed = (after.t_ns - before.t_ns) / 1e9
    busy = (after.busy_s - before.busy_s) / elapsed
    steal = 100 * (after.steal_s - before.steal_s) / elapsed / description.cpus()
    quiet = busy <= checks.OTHERS_CPUS and steal <= checks.STEAL_PCT
    return [
        Finding(
            "noise",
            "ok" if quiet else "note",
            f"others use {busy:.2f} CPUs, the hypervisor takes {steal:.1f} %",
            None if quiet else "Stop what you can before measuring.",
        )
    ]
