"""Which Docker socket to talk to: chosen as Docker's own client does, and always a local one.

Standard library only, since `.ci/setup` asks it before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cgbench.errors import CgbenchError, DockerUnavailable

STANDARD = "/var/run/docker.sock"
"""Where Docker listens by default."""

_SCHEME = "unix://"
_DEFAULT_CONTEXT = "default"


@dataclass(frozen=True)
class Endpoint:
    """A socket of this host; `origin` is what named it, as a message says it: `DOCKER_HOST`.

    `fields` are those of HTTP that the user's configuration adds to every request.
    """

    path: str
    origin: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address as Docker writes it."""
        return _SCHEME + self.path

    @property
    def words(self) -> str:
        """The address, and who named it."""
        return self.url if self.origin is None else f"{self.url} ({self.origin})"


def choose(environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Return the socket to use: DOCKER_HOST, else DOCKER_CONTEXT, else the current context.

    That is the order of Docker's client, see `docker context` in its manual. Contexts are read
    from DOCKER_CONFIG, by default `~/.docker`. Raises DockerUnavailable where what is named is
    remote, or a context is absent or malformed.
    """
    found = _chosen(environment)
    return replace(found, fields=_fields(environment))


def _chosen(environment: Mapping[str, str]) -> Endpoint:
    address = environment.get("DOCKER_HOST", "")
    if address:
        return _local(address, "DOCKER_HOST")
    where = _configuration(environment)
    name, origin = environment.get("DOCKER_CONTEXT", ""), "DOCKER_CONTEXT"
    if not name:
        config = where / "config.json"
        name, origin = _current(config), f"currentContext in {config}"
    if name in ("", _DEFAULT_CONTEXT):
        return Endpoint(STANDARD)
    return _local(_address(where, name, origin), f"the Docker context {name}")


def _fields(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the HttpHeaders of Docker's configuration; what cannot be used of it adds none."""
    try:
        said = json.loads((_configuration(environment) / "config.json").read_bytes())
        found = said.get("HttpHeaders", {})
        pairs = {str(name): str(value) for name, value in found.items()}
    except (OSError, ValueError, RuntimeError, AttributeError):
        return {}
    # A line of its own would be another request.
    return {
        name: value for name, value in pairs.items()
        if name and f"{name}{value}".isprintable() and f"{name}{value}".isascii()
    }  # fmt: skip


def _configuration(environment: Mapping[str, str]) -> Path:
    given = environment.get("DOCKER_CONFIG", "")
    return Path(given) if given else Path(environment.get("HOME") or Path.home()) / ".docker"


def _current(config: Path) -> str:
    """Return the name of the current context, empty where none was ever chosen."""
    if not config.exists():
        return ""
    name = _read(config).get("currentContext", "")
    if not isinstance(name, str):
        raise DockerUnavailable(f"{config}: currentContext is no text", "Correct that file.")
    return name


def _address(where: Path, name: str, origin: str) -> str:
    """Return the address that a context holds; its directory is named by the hash of its name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    path = where / "contexts" / "meta" / digest / "meta.json"
    if not path.exists():
        raise DockerUnavailable(
            f"there is no Docker context {name}, which {origin} names: {path} is missing",
            "Choose another (docker context use NAME), or set DOCKER_HOST to a local socket.",
        )
    try:
        address = _read(path)["Endpoints"]["docker"]["Host"]
    except (KeyError, TypeError):
        address = None
    if not isinstance(address, str):
        raise DockerUnavailable(
            f"{path}: no Endpoints.docker.Host", f"Make the context {name} again."
        )
    return address or _SCHEME + STANDARD


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise DockerUnavailable(
            f"{path}: {error.strerror}", "Make it readable, or set DOCKER_HOST to a local socket."
        ) from None
    except ValueError as error:
        raise DockerUnavailable(f"{path}: not JSON: {error}", "Correct that file.") from None
    if not isinstance(document, dict):
        raise DockerUnavailable(f"{path}: not a JSON object", "Correct that file.")
    return document


def _local(address: str, origin: str) -> Endpoint:
    path = address.removeprefix(_SCHEME)
    if path == address:
        named = f"DOCKER_HOST={address}" if origin == "DOCKER_HOST" else f"{origin} ({address})"
        raise DockerUnavailable(
            f"{named} is remote",
            "Sampling needs the local kernel: run cgbench on that host, or name a socket of this "
            "one (DOCKER_HOST=unix:///var/run/docker.sock).",
        )
    if not path.startswith("/"):
        raise DockerUnavailable(
            f"{origin}: {address} is no absolute path", "Write unix:///path/to/docker.sock."
        )
    return Endpoint(path, origin)


def main() -> int:
    """Print the socket's path; the error and exit status 2 where there is none to use."""
    try:
        print(choose().path)
    except CgbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
