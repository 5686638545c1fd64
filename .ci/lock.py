"""Write .ci/locked/*.txt: every package that set-up installs, by version and by hash of its files.

`make constraints` runs it. pip alone decides, from whatever registry it is set up to use: once for
each Python and machine below, without installing anything (`pip install --dry-run --report`). The
first one chooses the versions, the others must find files of the same. A package that some of them
need, and others do not, gets a marker.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(__file__).resolve().parent / "locked"

PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
# The C library of Debian 11, Ubuntu 20.04 and whatever is newer.
GLIBC = ("2_31", "2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5")
LEGACY = ("manylinux2014", "manylinux2010", "manylinux1")

AUDIT = ("pip-audit>=2.9",)
# What builds cgbench itself, since set-up builds without isolation.
BUILD = ("hatchling>=1.26", "editables>=0.5")
# Its analysis needs NumPy and SciPy only; what it asks for besides holds both back.
ALONE = ("apache-otava",)


@dataclass(frozen=True)
class Target:
    """One Python on one machine."""

    python: str
    machine: str

    @property
    def platforms(self) -> list[str]:
        """The platform tags of the files it takes, the best first."""
        tags = [f"manylinux_{version}" for version in GLIBC] + list(LEGACY)
        return [f"{tag}_{self.machine}" for tag in tags]


TARGETS = tuple(Target(python, machine) for python in PYTHONS for machine in MACHINES)


@dataclass(frozen=True)
class Locked:
    """One package: its version, the hashes of its files, and the targets that need it."""

    name: str
    version: str
    hashes: frozenset[str]
    targets: frozenset[Target]


def wanted(project: Mapping[str, Any], purpose: str) -> list[str]:
    """Return what `run`, `dev`, `docs` or `audit` needs, as pyproject.toml has it."""
    listed = [*project["dependencies"], *BUILD]
    extras = project["optional-dependencies"]
    if purpose == "dev":
        listed += [*extras["dev"], *extras["history"], *extras["fleet"]]
    elif purpose == "docs":
        listed = [*listed, *extras["docs"]]
    elif purpose == "audit":
        listed = list(AUDIT)
    return listed


def normal(name: str) -> str:
    """Return a package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolved(
    python: Path, requirements: Sequence[str], pins: Sequence[str], target: Target
) -> dict[str, Any]:
    """Return pip's report of what it would install. Ends the program where it finds nothing.

    `python` is the one whose pip is asked.
    """
    alone = [one for one in requirements if normal(_name(one)) in ALONE]
    others = [one for one in requirements if one not in alone]
    installed: list[Any] = []
    for part, options in ((others, []), (alone, ["--no-deps"])):
        if part:
            installed += _report(python, part, pins, target, options)["install"]
    return {"install": installed}


def _report(
    python: Path,
    requirements: Sequence[str],
    pins: Sequence[str],
    target: Target,
    options: Sequence[str],
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "pins.txt")
        constraints.write_text("\n".join(pins))
        report = Path(folder, "report.json")
        command = [
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--dry-run", "--ignore-installed", "--target", folder, "--only-binary", ":all:",
            "--report", str(report), "--constraint", str(constraints),
            "--implementation", "cp", "--python-version", target.python, *options,
        ]  # fmt: skip
        for platform in target.platforms:
            command += ["--platform", platform]
        done = subprocess.run([*command, *requirements], check=False)
        if done.returncode:
            raise SystemExit(
                f"lock: pip found no set of packages for Python {target.python} on "
                f"{target.machine}; its reason is above"
            )
        found: dict[str, Any] = json.loads(report.read_text())
        return found


def merged(reports: Mapping[Target, Mapping[str, Any]]) -> list[Locked]:
    """Return every package of the reports. Raises ValueError where two have other versions."""
    found: dict[str, Locked] = {}
    for target, report in reports.items():
        for item in report["install"]:
            name, version = normal(item["metadata"]["name"]), item["metadata"]["version"]
            digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
            known = found.get(name, Locked(name, version, frozenset(), frozenset()))
            if known.version != version:
                raise ValueError(f"{name} is {known.version} for some and {version} for others")
            found[name] = Locked(
                name, version, known.hashes | {digest}, known.targets | {target}
            )  # fmt: skip
    return [found[name] for name in sorted(found)]


def marker(locked: Locked, targets: Iterable[Target]) -> str:
    """Return the marker of a package that not every target needs, with its semicolon."""
    everywhere = frozenset(targets)
    if locked.targets == everywhere:
        return ""
    terms = [
        f'(python_version == "{one.python}" and platform_machine == "{one.machine}")'
        for one in sorted(locked.targets, key=lambda one: (one.python, one.machine))
    ]
    return " ; " + " or ".join(terms)


def text(packages: Iterable[Locked], targets: Sequence[Target]) -> str:
    """Return the file that pip reads."""
    lines = ["# Written by `make constraints`; docs/how-to/renew-the-lock.md says when and how."]
    for one in packages:
        hashes = [f"    --hash=sha256:{digest}" for digest in sorted(one.hashes)]
        lines.append(" \\\n".join([f"{one.name}=={one.version}{marker(one, targets)}", *hashes]))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write all lists, with the pip that this Python brings; return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        lock(Path(folder, "bin", "python"))
    return 0


def closure(names: Iterable[str], report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a report that `names` need, directly or not."""
    items = {normal(item["metadata"]["name"]): item for item in report["install"]}
    found: dict[str, Any] = {}
    queue = [normal(name) for name in names]
    while queue:
        name = queue.pop()
        # What a marker leaves out for this target is not in the report.
        if name in found or name not in items:
            continue
        found[name] = items[name]
        if name not in ALONE:
            needs = items[name]["metadata"].get("requires_dist", ())
            queue += [normal(_name(one)) for one in needs if "extra ==" not in one]
    return {"install": [found[name] for name in sorted(found)]}


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def lock(python: Path) -> None:
    """Write all lists."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # Together, so that a package that two lists share has one version.
    for purposes in (("run", "dev", "docs"), ("audit",)):
        asked = {purpose: wanted(project, purpose) for purpose in purposes}
        every = list(dict.fromkeys(line for lines in asked.values() for line in lines))
        reports = _reports(python, every)
        for purpose, lines in asked.items():
            names = [_name(line) for line in lines]
            parts = {target: closure(names, report) for target, report in reports.items()}
            packages = merged(parts)
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / f"{purpose}.txt").write_text(text(packages, TARGETS))
            print(f"{purpose}.txt: {len(packages)} packages", file=sys.stderr)


def _reports(python: Path, requirements: Sequence[str]) -> dict[Target, dict[str, Any]]:
    """Return pip's report for each target; the first one chooses the versions."""
    reports: dict[Target, dict[str, Any]] = {}
    pins: dict[str, str] = {}
    for target in TARGETS:
        print(f"Python {target.python} on {target.machine}", file=sys.stderr)
        fixed = [f"{name}=={version}" for name, version in pins.items()]
        reports[target] = resolved(python, requirements, fixed, target)
        pins |= {one.name: one.version for one in merged({target: reports[target]})}
    return reports


if __name__ == "__main__":
    sys.exit(main())
