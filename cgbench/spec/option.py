"""One option of `docker update`: its flag, API field, domain and interface files."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cgbench.errors import OptionError, UnitError
from cgbench.spec.fields import Via
from cgbench.units import parse_cpu_list

Value = int | float | str
"""An option's value as written: a number, or text as on Docker's command line."""

Settings = Mapping[str, Value]
"""The options in force on one container, by flag without dashes."""

_LARGEST = 2**63 - 1
# The longest values are lists of CPUs.
_LONGEST = 4096

DEVICE = "device"
"""The key under which settings hold a device, as `7:0`, that limits of devices are for."""

CPU_WEIGHT = "cpu.weight"
"""The file that shares are converted for."""


@dataclass(frozen=True)
class Interface:
    """Where the kernel keeps a limit: controller, file, and the text expected in it.

    `expected` gets every option set on the container, since one file may hold several
    (`cpu.max` is quota and period). It returns None where nothing is expected. `otherwise` is what
    runtimes that convert differently write for the same settings. `fallback` is where the value is
    kept by kernels without this file.
    """

    controller: str
    file: str
    expected: Callable[[Settings], str | None]
    otherwise: Callable[[Settings], str | None] | None = None
    fallback: Interface | None = None

    @property
    def alternatives(self) -> tuple[Interface, ...]:
        """All places where kernels keep the value, in the order in which runtimes look for them."""
        return (self, *(() if self.fallback is None else self.fallback.alternatives))

    def found_in(self, group: Hierarchies) -> Interface:
        """Return the first of the alternatives whose file is there; this one if none is."""
        if self.fallback is None:
            return self
        files = ((one, group.path(one.controller, one.file)) for one in self.alternatives)
        return next((one for one, path in files if path.exists()), self)

    def agreed(self, settings: Settings, found: str | None) -> str | None:
        """Return the text expected where `found` was read: of two that are right, that one."""
        other = None if self.otherwise is None else self.otherwise(settings)
        return other if other is not None and other == found else self.expected(settings)


class Hierarchies(Protocol):
    """What knows which cgroup version a controller lives on, and its files: a cgroup."""

    def version(self, controller: str) -> int:
        """Return 1 or 2. Raises CgroupError where the controller is nowhere."""

    def path(self, controller: str, file: str) -> Path:
        """Return the path of an interface file; it need not exist."""


@dataclass(frozen=True)
class Option:
    """One flag of `docker update`.

    `parse` turns a written value into the API's, and `encode` does so without looking at it;
    `lowest` and `highest` bound what the daemon accepts, counted as the API counts, which makes
    `per_unit` of one `unit` (None: no such bound). `highest_per_cpu` bounds it by the host's CPUs;
    `floor` and `ceiling` name options whose value on the same container bounds it. `choices` are
    the accepted texts where there are few, `malformed` texts that look like values and are none.
    `lifted` is the value that removes the limit, None if there is none. `v1` and `v2` are the
    interfaces by cgroup version, None where the kernel has none; `v1_also` is a second one that
    the value needs.

    `example` and `other` are two different harmless values that every host with two CPUs takes and
    that are nobody's default; `beside` is what a container without limits needs set with them.
    `further` are more values, each with all that is set with it, that may live shorter than others.

    `ways` are those in which it can be set. Where it is `per_device`, its value is one for a
    device, whose number the settings hold under DEVICE once it is known.
    """

    name: str
    field: str
    controller: str
    unit: str
    summary: str
    parse: Callable[[Value], object]
    v1: Interface | None
    v2: Interface | None
    example: Value = dataclasses.field(kw_only=True)
    other: Value = dataclasses.field(kw_only=True)
    beside: Settings = dataclasses.field(default_factory=dict, kw_only=True)
    further: tuple[Settings, ...] = dataclasses.field(default=(), kw_only=True)
    lowest: int | None = None
    highest: int | None = None
    highest_per_cpu: int | None = None
    per_unit: int = 1
    floor: str | None = None
    ceiling: str | None = None
    choices: tuple[str, ...] = ()
    malformed: tuple[str, ...] = ()
    lifted: Value | None = None
    encode: Callable[[Value], object] = lambda value: value
    v1_also: Interface | None = None
    ways: tuple[Via, ...] = ("update", "run", "cgroupfs")
    per_device: bool = False

    @property
    def flag(self) -> str:
        """The flag as typed."""
        return f"--{self.name}"

    def interfaces(self, version: int) -> tuple[Interface, ...]:
        """Return every interface file whose content the value decides, its own first.

        Where kernels differ it is the file that is looked for first.
        """
        files = (self.v1, self.v1_also) if version == 1 else (self.v2,)
        return tuple(interface for interface in files if interface is not None)

    def kept_in(self, group: Hierarchies) -> tuple[Interface, ...]:
        """Return `interfaces` as this kernel has them: by its cgroup version and its files."""
        files = self.interfaces(group.version(self.controller))
        return tuple(interface.found_in(group) for interface in files)

    @property
    def judged_ways(self) -> tuple[Via, ...]:
        """The ways that a verdict is about: an update's, or all where no update can set it."""
        return ("update",) if "update" in self.ways else self.ways

    @property
    def in_kernel(self) -> bool:
        """Whether any kernel has an interface file for it."""
        return self.v1 is not None or self.v2 is not None

    def check_way(self, via: Via) -> None:
        """Raise OptionError, which names one that is right, unless it can be set that way."""
        if via not in self.ways:
            way = {"update": "docker update", "run": "docker run", "cgroupfs": "a write"}[via]
            raise OptionError(f"{way} has no {self.flag}", f'For example: via = "{self.ways[0]}"')

    def check(self, value: Value) -> None:
        """Raise OptionError unless `value` is in the domain the daemon documents."""
        try:
            parsed = self.parse(value)
        except UnitError as error:
            raise OptionError(f"{self.flag} {value}: {error.message}", self.domain()) from None
        except (ValueError, TypeError) as error:
            raise OptionError(f"{self.flag} {value}: {error}", self.domain()) from None
        if isinstance(value, str) and not (value.isascii() and value.isprintable()):
            raise OptionError(f"{self.flag} {value!r}: not plain ASCII", self.domain())
        if isinstance(value, str) and len(value) > _LONGEST:
            raise OptionError(f"{self.flag}: longer than {_LONGEST} characters", self.domain())
        if not isinstance(parsed, int) or parsed == self.lifted:
            return
        if abs(parsed) > _LARGEST:
            raise OptionError(f"{self.flag} {value} does not fit into 64 bits", self.domain())
        if self.lowest is not None and parsed < self.lowest:
            below = self._bound(self.lowest)
            raise OptionError(f"{self.flag} {value} is below {below}", self.domain())
        if self.highest is not None and parsed > self.highest:
            above = self._bound(self.highest)
            raise OptionError(f"{self.flag} {value} is above {above}", self.domain())

    def declared(self, said: object) -> str | None:
        """Return what the Engine API says of it as text, None where that is nothing, or no limit.

        A limit that was lifted is declared as this engine or that one likes.
        """
        if isinstance(said, Mapping):
            name, most = said.get("Name") or "no", said.get("MaximumRetryCount")
            return f"{name}:{most}" if most else str(name)
        if said is None or said == "" or (isinstance(said, int) and said <= 0):
            return None
        return str(said)

    def domain(self) -> str:
        """Return the accepted values as one sentence."""
        lowest, highest = self._bound(self.lowest), self._bound(self.highest)
        bounds = {
            (True, True): f"from {lowest} to {highest}",
            (True, False): f"of at least {lowest}",
            (False, True): f"of at most {highest}",
            (False, False): "as Docker documents it",
        }[(self.lowest is not None, self.highest is not None)]
        lifted = "" if self.lifted is None else f"; {self.lifted} lifts it"
        return f"{self.flag} takes {self.unit} {bounds}{lifted}."

    def _bound(self, bound: int | None) -> str:
        return str(bound) if bound is None or self.per_unit == 1 else f"{bound / self.per_unit:g}"


def integer(value: Value) -> int:
    """Return a whole number. Raises ValueError where `value` is not one."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("not a whole number")
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"not a whole number: {value!r}") from None


def cpu_list(value: Value) -> str:
    """Return a list of CPUs or memory nodes as written. Raises UnitError on a malformed one."""
    parse_cpu_list(str(value))
    return str(value)


def policy(value: Value) -> dict[str, object]:
    """Return a restart policy as the Engine API takes it."""
    # As docker/cli does: opts/opts.go, ParseRestartPolicy.
    name, _, count = str(value).partition(":")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def restart(value: Value) -> dict[str, object]:
    """Return a documented restart policy as `policy` does. Raises ValueError on another."""
    name, _, count = str(value).partition(":")
    if name not in ("no", "always", "unless-stopped", "on-failure"):
        raise ValueError("not no, always, unless-stopped or on-failure[:N]")
    if count and name != "on-failure":
        raise ValueError("only on-failure takes a count")
    if not re.fullmatch("[0-9]{0,9}", count):
        raise ValueError("its count is not a whole number")
    return policy(value)


def written(settings: Settings) -> str:
    """Return options as typed on Docker's command line."""
    return " ".join(f"--{name} {value}" for name, value in settings.items())
