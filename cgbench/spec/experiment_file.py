"""An experiment's file: found, parsed, its errors explained; its JSON Schema."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cgbench.errors import ExperimentError, WorkloadError
from cgbench.spec import example, judged, program_file, programs, toml_file, workload
from cgbench.spec.band import PER_PERIOD
from cgbench.spec.container import Container
from cgbench.spec.experiment import Experiment, at
from cgbench.spec.option import written
from cgbench.spec.options import option
from cgbench.spec.schedule import lasts_ns, planned
from cgbench.units import format_duration, format_size
from cgbench.wording import count

_LONGEST_KEY = 60
# What people write who want a program of their own.
_PROGRAMS = ("image", "command", "cmd", "entrypoint", "args")


@functools.cache
def builtin_names() -> tuple[str, ...]:
    """Return the names of the experiments that cgbench brings along, sorted."""
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in (resources.files("cgbench") / "experiments").iterdir()
            if entry.name.endswith(".toml")
        )
    )


def load(name_or_path: str) -> Experiment:
    """Load a built-in experiment by name, or any experiment by the path of its file.

    Raises ExperimentError that names the file, and the line or key that is wrong.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml" or "/" in name_or_path:
        return parse(toml_file.read(path, ExperimentError), str(path))
    known = builtin_names()
    if name_or_path not in known:
        near = difflib.get_close_matches(name_or_path, known, 1)
        raise ExperimentError(
            f"unknown experiment: {name_or_path}",
            f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}; or give a file.",
        )
    return _built_in(name_or_path)


@functools.cache
def _built_in(name: str) -> Experiment:
    """Read and parse an experiment that comes along, once: it is frozen."""
    source = resources.files("cgbench") / "experiments" / f"{name}.toml"
    return parse(source.read_text(), f"{name}.toml")


def parse(text: str, origin: str) -> Experiment:
    """Parse and check the text of an experiment file; `origin` names it in errors."""
    document = _document(text, origin)
    _check_band(document, origin)
    document = program_file.resolved(document, origin)
    try:
        found = Experiment.model_validate(document)
    except ValidationError as error:
        raise explained(error, origin) from None
    for number, container in enumerate(found.containers, 1):
        with at(f"{origin}: containers.{number}"):
            _loaded(found, container)
    with at(origin):
        for complaint in programs.complaints(found):
            raise complaint
        found = programs.with_loads(found)
    own = found.verify.containers if found.verify else ()
    for key, containers in (("containers", found.containers), ("verify.containers", own)):
        for number, container in enumerate(containers, 1):
            with at(f"{origin}: {key}.{number}"):
                _loaded(found, container)
                _check_device(found, container)
                _check_shared(found, containers, container)
    with at(origin):
        judged.check(found)
    return found


def _document(text: str, origin: str) -> dict[str, Any]:
    """Parse a text; an error of its syntax shows the line as it might be meant."""
    try:
        return toml_file.parse(text, origin, ExperimentError)
    except ExperimentError as error:
        number = re.search(r"\(at line (\d+),", error.message)
        lines = text.splitlines()
        if number is None or int(number[1]) > len(lines):
            raise
        right = example.of_line(lines[int(number[1]) - 1])
        raise ExperimentError(error.message, example.shown(error.advice, right)) from None


def _loaded(experiment: Experiment, container: Container) -> None:
    """Raise WorkloadError, which names a line that is right, unless there is such a workload."""
    try:
        programs.workload_of(experiment, container)
    except WorkloadError as error:
        known = [*workload.names(workload.directory()), *experiment.programs]
        near = difflib.get_close_matches(container.workload, known, 1)
        right = f'workload = "{near[0] if near else "spin"}"'
        raise WorkloadError(error.message, example.shown(error.advice, right)) from None


def _check_device(experiment: Experiment, container: Container) -> None:
    """Raise ExperimentError where a container gets limits of a device, and works with none."""
    own = experiment.verify.steps if experiment.verify else ()
    named = {
        name
        for step in (*experiment.steps, *own)
        if (step.role or experiment.containers[0].role) == container.role
        for name in step.set
    }
    needy = sorted(one for one in {*named, *container.options} if option(one).per_device)
    if needy and not programs.workload_of(experiment, container).needs("device"):
        raise ExperimentError(
            f"--{needy[0]} limits a device, and workload {container.workload} uses none",
            'For example: workload = "fio-randread"',
        )


def _check_shared(
    experiment: Experiment, containers: Sequence[Container], container: Container
) -> None:
    """Raise ExperimentError where a container would make a file that it should only share."""
    if container.shares is None:
        return
    maker = next(one for one in containers if one.role == container.shares)
    for one, right in ((maker, "leave"), (container, "shared")):
        if not programs.workload_of(experiment, one).needs("shared"):
            raise ExperimentError(
                f"workload {one.workload} of {one.role} uses no file in /dev/shm",
                f'For example: workload = "{right}"',
            )
    if container.size > maker.size:
        raise ExperimentError(
            f"size: {format_size(container.size)} is more than {maker.role} makes, and what is "
            "missing would be charged to this container",
            f'For example: size = "{maker.size}"',
        )


def _check_band(document: Mapping[str, Any], origin: str) -> None:
    """Refuse the band of older files, which is wider the shorter a period is."""
    verify = document.get("verify")
    band = verify.get("band") if isinstance(verify, Mapping) else None
    if isinstance(band, Mapping) and PER_PERIOD in band:
        raise ExperimentError(
            f"{origin}: verify.band.{PER_PERIOD}: a band holds for a whole phase, not per period",
            "Write ticks_per_worker = 1, or leave the band out: each metric has its own.",
        )


def explained(error: ValidationError, origin: str) -> ExperimentError:
    """Turn the first of pydantic's complaints into one line that names the key."""
    # A misspelt key is often also a missing one: report the first, which explains the second.
    first = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    location = tuple(_brief(part) for part in first["loc"])
    valued = next((location.index(key) for key in ("set", "options") if key in location), None)
    if valued is not None and len(location) > valued + 1:
        # Behind the option's name stands only which of a value's types pydantic tried.
        location = location[: valued + 2]
        first["msg"] = "should be a finite number, a text or a list of these"
    where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in location)
    if first["type"] == "too_short":
        return ExperimentError(
            f"{origin}: {where} is empty",
            example.shown("Give it at least one entry.", example.line(first["loc"])),
        )
    if first["type"] == "extra_forbidden":
        key, known = str(location[-1]), example.keys(location)
        near = difflib.get_close_matches(key, known, 1)
        if near:
            right = example.line([*location[:-1], near[0]])
            advice = example.shown(f"Did you mean {near[0]}?", right)
        elif key in _PROGRAMS and "workload" in known:
            advice = example.shown(
                "Programs are workloads: of workloads/, or of a table programs.NAME with an image.",
                example.of_key("workload"),
            )
        else:
            advice = example.shown(
                f"Remove it. Keys there: {', '.join(known)}.", example.first_key(location)
            )
        return ExperimentError(f"{origin}: unknown key {where}", advice)
    if first["type"] == "missing":
        advice = example.shown(f"Add the key {first['loc'][-1]}.", example.line(first["loc"]))
        return ExperimentError(f"{origin}: {where} is missing", advice)
    message, _, advice = first["msg"].removeprefix("Value error, ").partition("\n")
    place = f"{where}: " if where else ""
    got = "" if first["type"] == "value_error" else f" (got {toml_file.shortened(first['input'])})"
    if "For example: " not in advice:
        # What the experiment itself complains of may have one already.
        advice = example.shown(advice or None, example.line(first["loc"])) or ""
    return ExperimentError(f"{origin}: {place}{message}{got}", advice or None)


def _brief(part: int | str) -> int | str:
    """Return one part of a place, without the rest of a key that is too long to be one."""
    return part if isinstance(part, int) or len(part) <= _LONGEST_KEY else part[:_LONGEST_KEY] + "…"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of experiment files."""
    schema = Experiment.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def explain(experiment: Experiment, cpus: int) -> str:
    """Return what the experiment does on a host with `cpus` CPUs, in words, for a terminal."""
    plans = planned(experiment, cpus, seed=0)
    hold = sum(plan.hold_ns for plan in plans)
    walks = {plan.walk: plan.steps for plan in plans}
    # A value that `docker run` sets needs containers of its own.
    of = f" ({experiment.trials} of each of {len(walks)} lives)" if len(walks) > 1 else ""
    lines = [f"{experiment.name}: {experiment.title}", f"  {experiment.question}", ""]
    lines += [
        f"  {container.role}: workload {container.workload}, {count(container.workers, 'worker')}"
        for container in experiment.containers
    ]
    lines += [
        "",
        f"  {count(len(plans), 'trial')}{of}, {format_duration(hold)} of hold times; "
        f"{'each walks' if len(walks) == 1 else 'a trial walks one of'}:",
    ]
    for number, walk in enumerate(sorted(walks), 1):
        if len(walks) > 1:
            lines.append(f"  life {number}:")
        for step in walks[walk]:
            verb = {"update": "docker update", "run": "docker run", "cgroupfs": "write"}[step.via]
            lines.append(
                f"    {verb} {written(step.settings)} ({step.role}), "
                f"hold {format_duration(step.hold_ns)}"
            )
    quick = experiment.shortened()
    lines += [
        "",
        f"  It takes about {format_duration(lasts_ns(experiment, cpus))}; with --quick "
        f"{count(len(planned(quick, cpus, seed=0)), 'trial')}, "
        f"about {format_duration(lasts_ns(quick, cpus))}.",
    ]
    return "\n".join(lines)
