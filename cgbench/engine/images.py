"""The daemon's images: whether there is one, and how one gets there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import docker
import docker.errors

from cgbench.engine.connection import CLIENT_ERRORS, Connection, message
from cgbench.errors import EngineError, ImageError

_IMPORT_TIMEOUT_S = 600.0
_BUILD_TIMEOUT_S = 1800


class Images:
    """The images of one daemon."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._api = connection.api

    def has_image(self, reference: str) -> bool:
        """Say whether the daemon has an image."""
        try:
            self._api.inspect_image(reference)
        except docker.errors.ImageNotFound:
            return False
        except CLIENT_ERRORS as error:
            raise self._connection.failure(error) from error
        return True

    def pull(self, reference: str, timeout_s: float) -> bool:
        """Pull an image; False if the registry does not give it within `timeout_s`."""
        name, _, version = reference.partition(":")
        # The daemon's own retries have no limit to set.
        try:
            self._connection.within(
                timeout_s, lambda: self._api.pull(name, tag=version or "latest")
            )
        except EngineError:
            return False
        return self.has_image(reference)

    def import_image(self, tar: BinaryIO, reference: str) -> None:
        """Make an image from a tar stream of a root file system."""
        name, _, version = reference.partition(":")
        response = self._connection.post(
            f"/images/create?fromSrc=-&repo={name}&tag={version or 'latest'}",
            _IMPORT_TIMEOUT_S,
            data=tar,
            headers={"Content-Type": "application/x-tar"},
        )
        if response.status_code != 200 or not self.has_image(reference):
            raise ImageError(f"cannot import {reference}: {message(response)}")

    def build(self, context: Path, tag: str, log: Callable[[str], None]) -> None:
        """Build the Dockerfile in `context`; its output goes to `log` line by line.

        The host's network is used, so that package mirrors that only the host reaches work.
        """
        last = ""
        try:
            for line in self._api.build(
                path=str(context), tag=tag, network_mode="host", rm=True, forcerm=True,
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
            raise ImageError(f"cannot build {tag}: {self._connection.cause(error)}") from error
