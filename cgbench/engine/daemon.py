"""What a Docker daemon says of itself, and why one cannot be measured with."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cgbench.errors import DockerUnavailable

MINIMUM_API = (1, 41)
"""Docker 20.10, the first that knows cgroup v2."""

# As Podman's API lists the program that runs its containers; its version fills several lines.
_RUNTIME = re.compile(r"OCI Runtime \((.+)\)")
_FEATURES = "org.opencontainers.runtime-spec.features"
_RUNC = ("runc", "io.containerd.runc.v2")


@dataclass(frozen=True)
class Daemon:
    """The answers to `/version` and `/info` of the Engine API."""

    version: Mapping[str, Any]
    info: Mapping[str, Any]

    @property
    def product(self) -> str:
        """Name and version, for it need not be Docker's: `Podman Engine 4.3.1`."""
        named = [str(part.get("Name")) for part in self.version.get("Components") or ()][:1]
        return f"{(named or ['Engine'])[0]} {self.version.get('Version')}"

    def describe(self) -> dict[str, str]:
        """Return version, api, runc, driver, storage and system as text, and what runs containers.

        `engine` is missing where the daemon does not say what it is. `runc` is the version of the
        `runtime`, whichever that is.
        """
        runtime, runtime_version = self._runtime()
        found = {
            "version": str(self.version.get("Version", "")),
            "api": str(self.version.get("ApiVersion", "")),
            "runc": runtime_version,
            "runtime": runtime,
            "cgroup_driver": str(self.info.get("CgroupDriver", "unknown")),
            "storage_driver": str(self.info.get("Driver", "unknown")),
            "os": str(self.info.get("OperatingSystem", "unknown")),
        }
        named = [str(part.get("Name")) for part in self.version.get("Components") or ()]
        if named:
            found["engine"] = "podman" if named[0].startswith("Podman") else "docker"
        return found

    def _runtime(self) -> tuple[str, str]:
        """Return the name and version of what starts containers here unless they ask otherwise."""
        versions = {}
        for part in self.version.get("Components") or ():
            name, lines = str(part.get("Name")), str(part.get("Version", "")).splitlines()
            words = lines[0].split() if lines else []
            version = words[-1] if words else "unknown"
            if match := _RUNTIME.fullmatch(name):
                return match[1], version
            versions[name] = version
        default = str(self.info.get("DefaultRuntime") or "runc")
        if default in _RUNC:
            return "runc", versions.get("runc", "unknown")
        return default, self._told_by(default)

    def _told_by(self, runtime: str) -> str:
        """Return the version that a runtime other than Docker's own tells of itself."""
        about = (self.info.get("Runtimes") or {}).get(runtime) or {}
        try:
            told = json.loads((about.get("status") or {}).get(_FEATURES, "{}"))
            notes = told.get("annotations") or {}
            key = next(key for key in notes if key.endswith(f".{runtime}.version"))
        except (ValueError, AttributeError, StopIteration):
            return "unknown"
        return str(notes[key])

    def require_usable(self, where: str, kernel: str | None = None) -> None:
        """Raise DockerUnavailable where it is too old, elsewhere, or may not limit anything.

        `where` is its address as a message says it, `kernel` this host's release.
        """
        offered = tuple(int(part) for part in str(self.version["ApiVersion"]).split("."))
        if offered < MINIMUM_API:
            raise DockerUnavailable(
                f"Docker {self.version.get('Version')} is too old: its API is "
                f"{self.version['ApiVersion']}, cgbench needs {MINIMUM_API[0]}.{MINIMUM_API[1]}",
                "Install Docker Engine 20.10 or newer.",
            )
        # A socket may lead into a virtual machine, or be forwarded from another host.
        theirs, ours = self.info.get("KernelVersion"), kernel or platform.release()
        if theirs != ours:
            raise DockerUnavailable(
                f"the daemon at {where} runs on another kernel ({theirs}) than cgbench ({ours})",
                "Sampling needs the local kernel: run cgbench where that daemon runs.",
            )
        if self.info.get("CgroupDriver") == "none":
            rootless = "name=rootless" in (self.info.get("SecurityOptions") or ())
            raise DockerUnavailable(
                f"the {'rootless ' * rootless}daemon at {where} has no cgroups (its cgroup driver "
                "is none), so no limit can be set",
                "Rootless Docker limits under cgroup v2 with systemd only; use the system's own "
                "daemon here.",
            )
