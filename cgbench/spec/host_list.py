"""The hosts of a fleet, as a file names them: `hosts.toml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from cgbench.errors import FleetError
from cgbench.spec import toml_file
from cgbench.spec.fields import says, shown_as_it_is
from cgbench.spec.model import Model

MOST_HOSTS = 5000
"""More hosts than one report can show."""

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_ADDRESS = r"^[A-Za-z0-9\[][A-Za-z0-9.:%\[\]_-]*$"

HostName = Annotated[str, Field(pattern=_NAME, max_length=60)]
"""The name of a host: a folder of the results, and part of a Dask resource's name."""

Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=-]*$", max_length=60)]


def _plain_path(text: str) -> str:
    if text.startswith("-") or "\n" in text:
        raise PydanticCustomError("path", "should be a path")
    return shown_as_it_is(text)


PathText = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_plain_path)]


class FleetHost(Model):
    """One host; what it does not say is taken from `[defaults]`, then from ssh's own settings.

    `python` is an interpreter that has cgbench: without one, cgbench is carried to the host.
    """

    name: HostName = says("what reports call it", "web01")
    address: Annotated[str, Field(pattern=_ADDRESS, max_length=255)] | None = says(
        "where ssh reaches it; its name where it is absent", "10.0.0.11"
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = says("ssh's port", 22)
    user: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9._-]*$", max_length=32)] | None = says(
        "whom ssh logs in as; measuring needs root", "root"
    )
    key: PathText | None = says("file of the private key; an agent's keys without it", "~/.ssh/id")
    known_hosts: PathText | None = says("file of the host keys to expect", "~/.ssh/known_hosts")
    python: PathText | None = says(
        "interpreter there that has cgbench and Dask", "/opt/cgbench/bin/python"
    )
    tags: tuple[Tag, ...] = says("groups that it belongs to")

    @property
    def reached_at(self) -> str:
        """The address that ssh is given."""
        return self.address or self.name


_OPTIONAL = ("address", "port", "user", "key", "known_hosts", "python")
_ADVICE = "A host is a table [[hosts]] with at least a name."


class HostList(Model):
    """All hosts of a file, in its order."""

    hosts: tuple[FleetHost, ...]

    def chosen(self, tags: Sequence[str], names: Sequence[str]) -> tuple[FleetHost, ...]:
        """Return the hosts with one of the `tags` or `names`, all where neither is given.

        Raises FleetError on one that no host has.
        """
        known = {tag for host in self.hosts for tag in host.tags}
        for tag in tags:
            if tag not in known:
                there = ", ".join(sorted(known)) or "no host has one"
                raise FleetError(f"no host has the tag {tag}", f"Known: {there}.")
        called = {host.name for host in self.hosts}
        for name in names:
            if name not in called:
                raise FleetError(f"no host is called {name}", "Name one of the file's hosts.")
        if not (tags or names):
            return self.hosts
        return tuple(
            host for host in self.hosts if host.name in names or not set(tags).isdisjoint(host.tags)
        )


def read(path: Path) -> HostList:
    """Read a file of hosts. Raises FleetError, which names the host and key that is wrong."""
    return parse(toml_file.read(path, FleetError), str(path))


def parse(text: str, origin: str) -> HostList:
    """Return the hosts of a file's text, which `origin` names in errors."""
    document = toml_file.parse(text, origin, FleetError)
    defaults, entries = document.pop("defaults", {}), document.pop("hosts", [])
    for key in document:
        raise FleetError(f"{origin}: unknown key {key}", "Known: defaults, hosts.")
    if not isinstance(defaults, dict) or not isinstance(entries, list):
        raise FleetError(f"{origin}: [defaults] is a table, and [[hosts]] are tables", _ADVICE)
    if not entries:
        raise FleetError(f"{origin}: no host in it", _ADVICE)
    if len(entries) > MOST_HOSTS:
        raise FleetError(f"{origin}: {len(entries)} hosts; at most {MOST_HOSTS}", "Split it.")
    for key in defaults:
        if key not in (*_OPTIONAL, "tags"):
            raise FleetError(
                f"{origin}: defaults: unknown key {key}",
                f"Known: {', '.join((*_OPTIONAL, 'tags'))}.",
            )
    hosts = [_host(entry, n, defaults, origin) for n, entry in enumerate(entries, 1)]
    for said in _doubled(hosts):
        raise FleetError(f"{origin}: {said}", "Give every host a name of its own.")
    return HostList(hosts=tuple(hosts))


def _host(entry: object, number: int, defaults: Mapping[str, Any], origin: str) -> FleetHost:
    if not isinstance(entry, dict):
        raise FleetError(f"{origin}: host {number} is no table", _ADVICE)
    absent: dict[str, Any] = dict.fromkeys(_OPTIONAL)
    try:
        return FleetHost.model_validate({**absent, "tags": (), **defaults, **entry})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        called = entry.get("name")
        which = called if isinstance(called, str) and re.match(_NAME, called) else f"host {number}"
        got = "" if first["type"] == "missing" else f" (got {toml_file.shortened(first['input'])})"
        raise FleetError(f"{origin}: {which}: {key}: {first['msg']}{got}", _ADVICE) from None


def _doubled(hosts: Sequence[FleetHost]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for host in hosts:
        # Folders of one file system that ignores case would be one.
        low = host.name.lower()
        if low in seen:
            yield f"two hosts are called {host.name}"
        seen[low] = host.name
    reached: dict[tuple[object, ...], str] = {}
    for host in hosts:
        # One host under two names would be measured beside itself.
        place = (host.reached_at.lower(), host.port or 22)
        if place in reached:
            yield f"{host.name} and {reached[place]} are at one address, {host.reached_at}"
        reached[place] = host.name
