"""What a compose file declares of its services' limits, as options of the registry.

Formats are those of the Compose specification: 05-services.md and deploy.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from cgbench.errors import OptionError, UnitError
from cgbench.spec.option import Value
from cgbench.spec.options import option
from cgbench.units import NS_PER_US, parse_duration

_MOST_BYTES = 4 * 2**20
_ADVICE = "Name the file that `docker compose up` was given."

# The key of a service, and the option that says the same.
_KEYS = {
    "cpus": "cpus",
    "cpu_quota": "cpu-quota",
    "cpu_period": "cpu-period",
    "cpu_shares": "cpu-shares",
    "cpuset": "cpuset-cpus",
    "mem_limit": "memory",
    "memswap_limit": "memory-swap",
    "mem_reservation": "memory-reservation",
    "pids_limit": "pids-limit",
}
_DEPLOYED = {
    ("limits", "cpus"): "cpus",
    ("limits", "memory"): "memory",
    ("limits", "pids"): "pids-limit",
    ("reservations", "memory"): "memory-reservation",
}
_TEXTS = ("cpus", "cpuset-cpus")
_DURATIONS = ("cpu-quota", "cpu-period")


def read(path: Path) -> dict[str, dict[str, Value]]:
    """Return the limits of each service in a file; those that a variable decides are left out.

    Raises OptionError where it cannot be read, or is no compose file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror or error}", _ADVICE) from error
    if len(content) > _MOST_BYTES:
        raise OptionError(f"{path}: longer than {_MOST_BYTES} bytes", _ADVICE)
    return parse(content.decode(errors="replace"), str(path))


def parse(text: str, origin: str) -> dict[str, dict[str, Value]]:
    """Return the limits of each service in the text of a file, which `origin` names in errors."""
    try:
        import yaml
    except ImportError:
        raise OptionError(
            f"{origin}: PyYAML is not installed", "Install it: pip install 'cgbench[compose]'."
        ) from None
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise OptionError(f"{origin}: no YAML: {said}", _ADVICE) from None
    services = document.get("services") if isinstance(document, Mapping) else None
    if not isinstance(services, Mapping):
        raise OptionError(f"{origin}: no services in it", _ADVICE)
    return {
        str(name): dict(_limits(service, f"{origin}: {name}"))
        for name, service in services.items()
        if isinstance(service, Mapping)
    }


def _limits(service: Mapping[object, object], place: str) -> Iterator[tuple[str, Value]]:
    deploy = _below(_below(service, "deploy"), "resources")
    found = [(name, _below(deploy, table).get(key)) for (table, key), name in _DEPLOYED.items()]
    found.append(("blkio-weight", _below(service, "blkio_config").get("weight")))
    # A service's own keys come last: compose refuses both where they differ.
    found += [(name, service.get(key)) for key, name in _KEYS.items()]
    for name, value in found:
        if value is None:
            continue
        if not isinstance(value, str | int | float):
            # Its text may be endless: a few aliases stand for billions of words.
            kind = type(value).__name__
            raise OptionError(f"{place}: a {kind} is no --{name}", _ADVICE)
        if "$" in str(value):
            continue
        asked = _value(name, value, place)
        # 0 and -1 stand for no limit.
        if not (isinstance(asked, int) and asked <= 0):
            yield name, asked


def _value(name: str, value: str | float, place: str) -> Value:
    """Return a value in the option's own unit. Raises OptionError where it is none of it."""
    text = str(value)
    try:
        if name in _DURATIONS and not text.lstrip("-").isdecimal():
            return parse_duration(text) // NS_PER_US
        plain = value if isinstance(value, int) and not isinstance(value, bool) else text
        parsed = option(name).parse(plain)
    except (UnitError, ValueError, TypeError) as error:
        raise OptionError(f"{place}: {text!r} is no --{name}: {error}", _ADVICE) from None
    return text if name in _TEXTS or not isinstance(parsed, int) else parsed


def _below(table: Mapping[object, object], key: str) -> Mapping[object, object]:
    found = table.get(key)
    return found if isinstance(found, Mapping) else {}
