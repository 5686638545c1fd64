"""A program of one's own: an image, how it is started, and the load that drives it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from cgbench.spec.fields import (
    Duration,
    ImageName,
    Title,
    Whole,
    not_negative,
    says,
    short_enough,
    shown_as_it_is,
)
from cgbench.spec.model import Model
from cgbench.spec.report import Report
from cgbench.spec.workload import CONTAINER_USER, Workload
from cgbench.units import NS_PER_S

PROBER = "prober"
"""The built-in workload that puts a load on a program and measures its answers."""

DRIVER = "driver"
"""What a container runs whose command is the load of a program."""

LOAD_SUFFIX = "-load"
"""What the name of a container that puts a load on another adds to that one's."""

MOST_PER_S = 20_000
"""How many requests a second the prober is let send; at 10,000 it uses most of a CPU."""

_MOST_FILES, _MOST_FILE = 32, 256 * 1024
_PATH = re.compile(r"/[^\0:]*")
_PORTS = {"http": 80}


def _path(text: str) -> str:
    """Return a path inside a container if it is one, else complain as pydantic does."""
    parts = text.split("/")
    if not _PATH.fullmatch(text) or ".." in parts or text == "/":
        raise PydanticCustomError("path", "should be an absolute path inside the container")
    return shown_as_it_is(text)


def _url(text: str) -> str:
    """Return an address that the prober can ask, else complain as pydantic does."""
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    known = parts.scheme in ("http", "tcp") and bool(parts.hostname)
    if not known or port is None or (parts.scheme == "tcp" and parts.path):
        raise PydanticCustomError(
            "url", "should be such as http://127.0.0.1:8080/ or tcp://127.0.0.1:6379"
        )
    return shown_as_it_is(text)


InnerPath = Annotated[str, Field(max_length=1000), AfterValidator(_path)]
"""An absolute path inside a container."""

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
"""The name of an environment variable."""

Network = Literal["shared", "bridge", "host", "none"]
"""How a program and its load reach one another.

By loopback in one namespace of their own, by a bridge that leads nowhere else, by loopback of the
host, or not at all.
"""

User = Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?$")]
"""A user, and after a colon a group, of a container, by name or number."""

Environment = Annotated[
    Mapping[Variable, Annotated[str, Field(max_length=4000)]], Field(max_length=64)
]
"""Environment variables by their names."""

_Wait = Annotated[Duration, AfterValidator(not_negative), AfterValidator(short_enough)]


class Load(Model):
    """What drives a program: requests of the prober at fixed times, or a command of one's own.

    The prober sends each request when it is due, whether or not those before are answered. A
    command runs in a container beside the program, in its network, and reports by what it prints.
    """

    url: Annotated[
        Annotated[str, Field(max_length=1000), AfterValidator(_url)] | None,
        says("What the prober asks, inside the program's own network.", "http://127.0.0.1:8080/"),
    ] = None
    send: Annotated[
        Annotated[str, Field(max_length=1000), AfterValidator(shown_as_it_is)] | None,
        says("What is sent to a tcp:// address; a line is the answer.", "PING\\r\\n"),
    ] = None
    rate: Annotated[
        Annotated[Whole, Field(ge=1, le=MOST_PER_S)] | None,
        says("Requests a second, evenly spaced.", 100),
    ] = None
    connections: Annotated[
        Whole, Field(ge=1, le=512), says("Connections that are kept open, at most.", 64)
    ] = 64
    timeout: Annotated[
        Annotated[_Wait, Field(ge=1_000_000, le=60 * NS_PER_S)],
        Field(json_schema_extra={"default": "1s"}),
        says("After which a request without an answer has failed.", "1s"),
    ] = NS_PER_S
    command: Annotated[
        tuple[Title, ...],
        Field(max_length=64),
        says(
            "What drives it in place of the prober, for as long as the trial lasts.",
            ["pgbench", "-P", "1"],
        ),
    ] = ()
    image: Annotated[
        ImageName | None, says("The image of that command, if it is not the program's.", "nginx")
    ] = None
    environment: Annotated[
        Environment,
        says("Environment variables of that command.", {"LANG": "C"}),
    ] = Field(default_factory=dict)
    report: Annotated[Report | None, says("What of its output is measured.")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Load:
        if (self.url is None) == (not self.command):
            raise ValueError("a load is either a url, which the prober asks, or a command")
        if self.url is not None and self.rate is None:
            raise ValueError("rate: how many requests a second does the prober send?")
        if self.send is not None and not str(self.url).startswith("tcp:"):
            raise ValueError("send: only a tcp:// address is sent a text")
        if self.command and self.report is None:
            raise ValueError("report: what of the command's output is measured?")
        if self.url is not None and (self.report or self.image or self.environment):
            raise ValueError("report, image and environment are of a command")
        return self

    @property
    def port(self) -> int | None:
        """The TCP port that the prober asks, None where a command drives."""
        if self.url is None:
            return None
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def pace_ns(self) -> int:
        """The time between two requests of the prober; a second where a command drives."""
        return NS_PER_S // (self.rate or 1)

    def asked_at(self, address: str) -> str:
        """Return what is asked where the program has another address than its file says."""
        parts = urlsplit(self.url or "")
        host = f"[{address}]" if ":" in address else address
        return parts._replace(netloc=f"{host}:{self.port}").geturl()


class Program(Model):
    """A program of one's own, in its own image.

    It is as confined as a built-in workload: a user without rights, no capabilities, a root file
    system that it cannot write to, no network but loopback. `user`, `writable`, `capabilities` and
    `read_only` loosen that, and reports say so. `files` are texts by their paths in the container.
    """

    image: Annotated[ImageName, says("Its image, which must be there: none is pulled.", "nginx")]
    command: Annotated[
        tuple[Title, ...],
        Field(max_length=64),
        says("What replaces the image's command, as after `docker run IMAGE`.", ["redis-server"]),
    ] = ()
    entrypoint: Annotated[
        tuple[Title, ...] | None,
        Field(max_length=64),
        says("What replaces the image's entry point; an empty list is none.", ["/usr/bin/env"]),
    ] = None
    environment: Annotated[
        Environment, says("Environment variables, beside the image's own.", {"LANG": "C"})
    ] = Field(default_factory=dict)
    files: Annotated[
        Mapping[InnerPath, Annotated[str, Field(max_length=_MOST_FILE)]],
        Field(max_length=_MOST_FILES),
        says(
            "Files that it finds, by their paths there: a text, or the path of a file beside this.",
            {"/etc/app.conf": {"path": "app.conf"}},
        ),
    ] = Field(default_factory=dict)
    writable: Annotated[
        tuple[InnerPath, ...],
        Field(max_length=16),
        says("Folders that it may write to, in memory, beside /tmp.", ["/var/run"]),
    ] = ()
    user: Annotated[User, says("As whom it runs.", "65534:65534")] = (
        f"{CONTAINER_USER}:{CONTAINER_USER}"
    )
    capabilities: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Z_]{2,40}$")], ...],
        Field(max_length=16),
        says("Capabilities that it keeps.", ["CHOWN"]),
    ] = ()
    read_only: Annotated[
        bool, Field(strict=True), says("Whether its root file system is read-only.", False)
    ] = True
    network: Annotated[
        Network,
        says(
            "How its load reaches it: over `shared` loopback, a `bridge`, the `host`, or `none`.",
            "bridge",
        ),
    ] = "shared"
    listens: Annotated[
        Annotated[Whole, Field(ge=1, le=65535)] | None,
        says("The TCP port that it listens on once it is ready; else that of the load.", 8080),
    ] = None
    ready_within: Annotated[
        Annotated[_Wait, Field(ge=100_000_000, le=600 * NS_PER_S)],
        Field(json_schema_extra={"default": "30s"}),
        says("How long it may take until it is ready.", "30s"),
    ] = 30 * NS_PER_S
    load: Annotated[Load | None, says("What drives it; without it, it works by itself.")] = None
    report: Annotated[
        Report | None, says("What of its own output is measured, such as of a batch job.")
    ] = None

    @model_validator(mode="after")
    def _reachable(self) -> Program:
        if self.load is not None and self.network == "none":
            raise ValueError("network: without one no load reaches it")
        return self

    @property
    def port(self) -> int | None:
        """The TCP port on which it listens once it is ready, None where it need not."""
        return self.load.port if self.listens is None and self.load is not None else self.listens

    @property
    def loosened(self) -> tuple[str, ...]:
        """How it is less confined than a built-in workload, one phrase for each way."""
        found = []
        if self.user.split(":")[0] in ("0", "root"):
            found.append("runs as root")
        elif self.user != f"{CONTAINER_USER}:{CONTAINER_USER}":
            found.append(f"runs as {self.user}")
        if self.capabilities:
            found.append(f"keeps {', '.join(self.capabilities)}")
        if self.network == "host":
            found.append("is in the network of the host")
        if not self.read_only:
            found.append("may write to its root file system")
        if self.writable:
            found.append(f"may write to {', '.join(self.writable)}, in memory")
        return tuple(found)

    def workload(self, name: str) -> Workload:
        """Return what measuring knows of it, in the form of a built-in workload."""
        return Workload(
            name=name,
            summary=f"A program of one's own, from the image {self.image}.",
            controller="cpu",
            command=(*(self.entrypoint or ()), *self.command) or (self.image,),
            probe="request" if self.load is not None and self.load.url is not None else None,
        )
