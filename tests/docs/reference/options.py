"""The options of `docker update`: domain, API field, and files on cgroup v1 and v2."""

from __future__ import annotations

from cgbench.spec.option import Option, Settings, written
from cgbench.spec.options import OPTIONS
from cgbench.spec.run_options import RUN_OPTIONS
from tests.docs.reference.markdown import code, table


def in_short() -> str:
    """Return a table of all options: what each limits, and the files that hold it."""
    return table(
        ("option", "what it sets", "cgroup v1", "cgroup v2"),
        [
            (f"[`{one.flag}`](#{one.name})", one.summary, _files(one, 1), _files(one, 2))
            for one in OPTIONS.values()
        ],
    )


def others() -> str:
    """Return a table of the limits that no update can set."""
    return table(
        ("limit", "what it sets", "set by", "cgroup v1", "cgroup v2"),
        [(code(one.flag), one.summary, _ways(one), *_kept(one)) for one in RUN_OPTIONS.values()],
    )


def details() -> str:
    """Return a section per option."""
    return "\n\n".join(_section(one) for one in OPTIONS.values())


def _kept(one: Option) -> tuple[str, str]:
    """Return where cgroup v1 and v2 hold a limit; that of a tmpfs is its mount's."""
    mount = "the mount of `/dev/shm`"
    return (_files(one, 1), _files(one, 2)) if one.in_kernel else (mount, mount)


def _ways(one: Option) -> str:
    words = {"run": "`docker run`", "cgroupfs": "the file"}
    return ", ".join(words[way] for way in one.ways)


def _files(one: Option, version: int) -> str:
    files = [
        ", else ".join(code(each.file) for each in interface.alternatives)
        for interface in one.interfaces(version)
    ]
    if files:
        return ", ".join(files)
    return "no interface file" if one.in_kernel else "Docker alone"


def _section(one: Option) -> str:
    settings: Settings = {**one.beside, one.name: one.example}
    sentence = one.summary[:1].upper() + one.summary[1:]
    facts = [
        f"- values: {_domain(one)}",
        f"- Engine API: `HostConfig.{one.field}`",
        f"- example: `docker update {written(settings)}`",
    ]
    if one.choices:
        facts.insert(1, f"- documented values: {', '.join(map(code, one.choices))}")
    if one.ceiling is not None:
        facts.insert(1, f"- at most the value of `--{one.ceiling}` on the same container")
    if one.floor is not None:
        facts.insert(1, f"- at least the value of `--{one.floor}` on the same container")
    if one.highest_per_cpu is not None:
        most = one.highest_per_cpu / one.per_unit
        facts.insert(1, f"- at most {most:g} per CPU of the host")
    rows = [
        (f"v{version}", code(each.file), _expected(each.expected(settings)))
        for version in (1, 2)
        for interface in one.interfaces(version)
        for each in interface.alternatives
    ]
    rows += [
        (f"v{version}", _files(one, version), "–")
        for version in (1, 2)
        if not one.interfaces(version) and one.in_kernel
    ]
    parts = [f"### {one.name}", f"{sentence}.", "\n".join(facts)]
    if rows:
        parts.append(table(("cgroup", "interface file", "holds after the example"), rows))
    else:
        parts.append("The kernel has no file for it: Docker itself obeys it.")
    return "\n\n".join(parts)


def _domain(one: Option) -> str:
    return one.domain().removeprefix(f"{one.flag} takes ").rstrip(".")


def _expected(text: str | None) -> str:
    return "–" if text is None else code(text)
