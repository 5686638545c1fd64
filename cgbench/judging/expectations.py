"""What somebody expects of the limits of containers: `cpus<=1 memory<=512m pids<=100`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from cgbench.errors import OptionError, UnitError
from cgbench.records.audit import Audit, Limit, LimitName, Missed
from cgbench.units import format_size, parse_size

_EXAMPLE = "For example: --expect 'cpus<=1 memory<=512m pids<=100'."
_FORM = re.compile(r"([a-z-]+)(<=|>=|==)(\S+)")
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq,
}  # fmt: skip
# These have no order.
_TEXTS = ("cpuset", "cpu-weight", "io-weight", "memory-reservation", "device-throttle")


@dataclass(frozen=True)
class Expected:
    """One limit that is expected to be at most, at least or just so much, in base units."""

    limit: LimitName
    how: str
    value: float
    text: str

    def missed(self, found: Limit) -> str | None:
        """Say how a limit misses this, None where it does not. What has no limit is infinite."""
        effective = found.effective
        seen = effective if isinstance(effective, float) else float("inf")
        if _COMPARED[self.how](seen, self.value):
            return None
        most = format_size(seen) if self.limit.startswith("memory") else f"{seen:g}"
        said = "nothing limits it" if seen == float("inf") else f"{most} is the most"
        return f"{self.text} is expected, and {said}"


def parse(text: str) -> tuple[Expected, ...]:
    """Return what a text expects. Raises OptionError, which names the word, where it is none."""
    found = []
    known: Mapping[str, LimitName] = {
        name: name for name in get_args(LimitName) if name not in _TEXTS
    }
    for word in text.split():
        match = _FORM.fullmatch(word)
        if match is None:
            raise OptionError(f"--expect: {word!r} is no expectation", _EXAMPLE)
        name, how, value = match.groups()
        if name not in known:
            raise OptionError(f"--expect: no limit {name!r}", f"Limits: {', '.join(known)}.")
        try:
            size = float(parse_size(value)) if name.startswith("memory") else float(value)
        except (UnitError, ValueError):
            raise OptionError(f"--expect: {value!r} in {word!r} is no number", _EXAMPLE) from None
        found.append(Expected(known[name], how, size, word))
    if not found:
        raise OptionError("--expect: nothing is expected", _EXAMPLE)
    return tuple(found)


def missed(expected: Sequence[Expected], audit: Audit) -> Iterator[Missed]:
    """Yield each expectation that a container misses. One that could not be read misses all."""
    for container in audit.containers:
        for one in expected:
            if container.unread is not None:
                said = f"{one.text} is expected, and it was not read: {container.unread}"
                yield Missed(container=container.name, limit=one.limit, expected=one.text,
                             effective=None, reason=said)  # fmt: skip
            for limit in container.limits:
                if limit.limit == one.limit and (why := one.missed(limit)) is not None:
                    yield Missed(container=container.name, limit=one.limit, expected=one.text,
                                 effective=limit.effective, reason=why)  # fmt: skip
