"""The daemon's images: whether there is one, and how one gets there."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import docker
import docker.errors

from cgbench.engine import image
from cgbench.engine.client import CLIENT_ERRORS, cause, message
from cgbench.engine.connection import Connection
from cgbench.engine.labels import LABEL
from cgbench.errors import EngineError, ImageError

_IMPORT_TIMEOUT_S = 600.0
_BUILD_TIMEOUT_S = 1800
_LOADED = re.compile(r"Loaded image: ([\w./:-]+)")
_STATUS = "/var/lib/dpkg/status"
_MOST_STATUS_BYTES = 64 * 2**20
# What workloads and examples run; of all others the digest is enough.
_PROGRAMS = (
    "stress-ng", "fio", "python3-minimal", "redis-server", "nginx", "postgresql-15", "xz-utils",
)  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """What an image is made of, since one tag need not be one image on every host.

    `base` is the digest of its lowest layer. `packages` names the versions of the workloads'
    programs and a digest of all packages; None where the image has no Debian packages.
    """

    base: str | None
    packages: str | None


def packages(status: str) -> str | None:
    """Return in short which packages are installed, as dpkg's status file says; None if none."""
    versions: dict[str, str] = {}
    for block in status.split("\n\n"):
        lines = (line.partition(": ") for line in block.splitlines() if not line.startswith(" "))
        fields = {name: text for name, _, text in lines}
        if fields.get("Status", "").endswith(" installed"):
            versions[fields.get("Package", "")] = fields.get("Version", "")
    if not versions:
        return None
    listed = "".join(f"{name}={version}\n" for name, version in sorted(versions.items()))
    known = [f"{name} {versions[name]}" for name in _PROGRAMS if name in versions]
    digest = hashlib.sha256(listed.encode()).hexdigest()[:12]
    return ", ".join([*known, f"all {len(versions)} packages {digest}"])


class Images:
    """The images of one daemon."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client
        self._api = self._client.api

    def has_image(self, reference: str) -> bool:
        """Say whether the daemon has an image."""
        return self._inspected(reference) is not None

    def size(self, reference: str) -> int | None:
        """Return how many bytes an image's layers have together, None where it is absent."""
        found = self._inspected(reference)
        return None if found is None else int(self._connection.part(found, "Size"))

    def _inspected(self, reference: str) -> object:
        """Return what the daemon says of an image, None where it is absent."""
        try:
            return self._api.inspect_image(reference)
        except docker.errors.ImageNotFound:
            return None
        except CLIENT_ERRORS as error:
            raise self._client.failure(error) from error

    def identity(self, reference: str) -> str:
        """Return the digest of an image. Raises ImageError, with the next move, if it is absent."""
        try:
            return str(self._connection.part(self._api.inspect_image(reference), "Id"))
        except docker.errors.ImageNotFound:
            raise image.missing(reference) from None
        except CLIENT_ERRORS as error:
            raise self._client.failure(error) from error

    def layers(self, reference: str) -> tuple[Path, ...] | None:
        """Return the folders on this host that an image's files are in, None where it is not said.

        Only storage drivers that stack folders say so. Raises ImageError if the image is absent.
        """
        found = self._inspected(reference)
        if found is None:
            raise image.missing(reference)
        driver = found.get("GraphDriver") if isinstance(found, dict) else None
        data = driver.get("Data") if isinstance(driver, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("UpperDir"), str):
            return None
        lower = data.get("LowerDir")
        folders = [
            data["UpperDir"],
            *(lower.split(":") if isinstance(lower, str) and lower else ()),
        ]
        if not all(one.startswith("/") for one in folders):
            return None
        return tuple(Path(one) for one in folders)

    def pull(self, reference: str, timeout_s: float) -> bool:
        """Pull an image; False if the registry does not give it within `timeout_s`."""
        name, _, version = reference.partition(":")
        # The daemon's own retries have no limit to set.
        try:
            self._client.within(timeout_s, lambda: self._api.pull(name, tag=version or "latest"))
        except EngineError:
            return False
        return self.has_image(reference)

    def import_image(self, tar: BinaryIO, reference: str) -> None:
        """Make an image from a tar stream of a root file system."""
        name, _, version = reference.partition(":")
        response = self._client.send(
            f"/images/create?fromSrc=-&repo={name}&tag={version or 'latest'}",
            tar,
            _IMPORT_TIMEOUT_S,
        )
        if response.status_code != 200 or not self.has_image(reference):
            raise ImageError(f"cannot import {reference}: {message(response)}")

    def saved(self, reference: str) -> Iterator[bytes]:
        """Yield an image as `docker save` writes it. Raises ImageError if it is absent."""
        try:
            yield from self._api.get_image(reference)
        except docker.errors.ImageNotFound:
            raise image.missing(reference) from None
        except CLIENT_ERRORS as error:
            raise self._client.failure(error) from error

    def load(self, tar: BinaryIO, reference: str) -> None:
        """Load what `docker save` wrote of an image. Raises ImageError if it is not in there."""
        response = self._client.send("/images/load?quiet=1", tar, _IMPORT_TIMEOUT_S)
        # It may have been there before; the answer names all that was loaded.
        if response.status_code != 200 or reference not in response.text:
            loaded = ", ".join(_LOADED.findall(response.text)) or message(response)
            raise ImageError(
                f"{reference} was not in what was loaded: {loaded}",
                "Name the image that the file holds: cgbench image load FILE NAME.",
            )

    def contents(self, reference: str) -> Contents:
        """Return what an image is made of, and start nothing. Raises ImageError if it is absent."""
        try:
            layers = self._api.inspect_image(reference).get("RootFS", {}).get("Layers") or [None]
            made = self._api.create_container(
                reference, ["true"], labels={LABEL: "image"}, network_disabled=True
            )
            container = str(self._connection.part(made, "Id"))
            try:
                status = self._status(container)
            finally:
                self._api.remove_container(container, force=True, v=True)
        except docker.errors.ImageNotFound as error:
            raise image.missing(reference) from error
        except CLIENT_ERRORS as error:
            raise self._client.failure(error) from error
        return Contents(layers[0], None if status is None else packages(status))

    def _status(self, container: str) -> str | None:
        """Return dpkg's list of packages in a container, None where it has none."""
        try:
            parts, _about = self._api.get_archive(container, _STATUS)
        except docker.errors.NotFound:
            return None
        with tarfile.open(fileobj=io.BytesIO(_bounded(parts))) as archive:
            member = archive.next()
            file = None if member is None else archive.extractfile(member)
            return None if file is None else file.read().decode(errors="replace")

    def build(self, context: Path, tag: str, log: Callable[[str], None]) -> None:
        """Build the Dockerfile in `context`; its output goes to `log` line by line.

        Where that fails, it is tried again on the host's network, for package mirrors that only
        the host reaches. What a package does when it is installed then reaches the host's services.
        """
        try:
            self._build(context, tag, log, None)
        except ImageError as error:
            log(f"{error.message}; trying again on the host's network")
            self._build(context, tag, log, "host")

    def _build(
        self, context: Path, tag: str, log: Callable[[str], None], network: str | None
    ) -> None:
        last = ""
        try:
            for line in self._api.build(
                path=str(context), tag=tag, network_mode=network, rm=True, forcerm=True,
                decode=True, timeout=_BUILD_TIMEOUT_S,
            ):  # fmt: skip
                if "error" in line:
                    raise ImageError(
                        f"cannot build {tag}: {line['error'].strip()} (after: {last})",
                        "Check that the host reaches its package mirror.",
                    )
                for text in str(line.get("stream", "")).splitlines():
                    if text.strip():
                        last = text.strip()
                        log(last)
        except (*CLIENT_ERRORS, TypeError) as error:
            raise ImageError(f"cannot build {tag}: {cause(error)}") from error


def _bounded(parts: Iterable[bytes]) -> bytes:
    """Return a stream's content. Raises ImageError where it is longer than any list of packages."""
    content = bytearray()
    for part in parts:
        content += part
        if len(content) > _MOST_STATUS_BYTES:
            raise ImageError(
                f"{_STATUS} of the image is longer than {_MOST_STATUS_BYTES} bytes",
                "Build the image again: cgbench image build.",
            )
    return bytes(content)
