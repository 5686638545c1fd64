"""What is carried to a host that has no cgbench: wheels of this one's version and its packages.

They are fetched here, for the host's Python and machine, since many a host reaches no index.
"""

from __future__ import annotations

import hashlib
import importlib.metadata as metadata
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cgbench
from cgbench import programs
from cgbench.errors import FleetError
from cgbench.fleet import reach
from cgbench.fleet.reach import Facts, Refused
from cgbench.foreign import one_line

PREFIX = "bundle-"
"""How the folder of a bundle on a host is called, before its digest."""

# What draws pages: it is done here.
_NOT_THERE = frozenset({"plotly", "tsdownsample", "narwhals"})
_EXTRA = "fleet"
_FETCH_S, _CARRY_S = 600.0, 900.0
_ROOM = 4
"""How many times the wheels' size a host needs free, since they are unpacked there."""

# On the host, by its own Python: wheels are zip files whose content lies as it is imported.
_UNPACK = """
import io, os, shutil, sys, tarfile, zipfile
into = sys.argv[1]
partial = into + ".partial"
shutil.rmtree(partial, ignore_errors=True)
os.makedirs(partial, mode=0o700)
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
    for member in archive:
        with zipfile.ZipFile(io.BytesIO(archive.extractfile(member).read())) as wheel:
            wheel.extractall(partial)
for name in os.listdir(partial):
    for kind in ("purelib", "platlib"):
        data = os.path.join(partial, name, kind)
        if name.endswith(".data") and os.path.isdir(data):
            shutil.copytree(data, partial, dirs_exist_ok=True)
try:
    os.rename(partial, into)
except OSError:
    # Another fleet carried it meanwhile.
    shutil.rmtree(partial)
"""


def cache() -> Path:
    """Return where wheels are kept on this host."""
    return Path("~/.cache/cgbench/fleet-wheels").expanduser()


def wheels(facts: Facts) -> tuple[Path, ...]:
    """Return the wheels of this cgbench and what it needs, for a host like that one.

    They are fetched unless they were before. Raises FleetError where one is not to be had.
    """
    cache().mkdir(parents=True, exist_ok=True)
    own = _own_wheel(cache())
    wanted = sorted(f"{name}=={version}" for name, version in _needed(own, facts).items())
    version = ".".join(map(str, facts.python))
    key = hashlib.sha256("\n".join([version, facts.machine, *wanted]).encode()).hexdigest()[:16]
    folder = cache() / key
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            into = Path(made) / "wheels"
            _fetch(wanted, version, facts.machine, into)
            into.rename(folder)
    return (own, *sorted(folder.glob("*.whl")))


def name_of(files: tuple[Path, ...]) -> str:
    """Return the name of the folder that wheels are unpacked into: their digest."""
    total = hashlib.sha256()
    for path in files:
        total.update(path.name.encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return PREFIX + total.hexdigest()[:16]


async def carry(line: reach.Line, python: str, facts: Facts, files: tuple[Path, ...]) -> str:
    """Bring wheels to a host unless they are there, and return their folder. Raises Refused."""
    name = name_of(files)
    folder = f"{facts.folder}/{name}"
    if name in facts.bundles:
        return folder
    size = sum(path.stat().st_size for path in files)
    if facts.free_bytes < _ROOM * size:
        raise Refused(
            f"{facts.folder} there has {facts.free_bytes // 2**20} MiB free, and cgbench needs "
            f"{_ROOM * size // 2**20}"
        )
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in files:
            archive.add(path, arcname=path.name)
    await reach.run(
        line, [python, "-I", "-c", _UNPACK, folder], given=content.getvalue(), limit_s=_CARRY_S
    )
    return folder


def _requires(wheel: Path) -> list[str]:
    """Return what a wheel of cgbench needs, as it says itself."""
    # What is installed may have been made from a checkout as it was once.
    (folder,) = (one for one in zipfile.Path(wheel).iterdir() if one.name.endswith(".dist-info"))
    return list(metadata.PathDistribution(folder).requires or ())


def _needed(wheel: Path, facts: Facts) -> dict[str, str]:
    """Return this environment's versions of all that cgbench needs on a host like that one."""
    version = ".".join(map(str, facts.python))
    there = {
        "python_version": version, "python_full_version": f"{version}.0",
        "platform_machine": facts.machine, "sys_platform": "linux", "platform_system": "Linux",
        "os_name": "posix", "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }  # fmt: skip
    found: dict[str, str] = {}
    waiting = [Requirement(f"cgbench[{_EXTRA}]")]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        name, extras = canonicalize_name(one.name), frozenset(one.extras)
        if (name, extras) in seen or name in _NOT_THERE:
            continue
        seen.add((name, extras))
        if name == "cgbench":
            requires = _requires(wheel)
        else:
            try:
                installed = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                # What this environment does without, such as a backport.
                continue
            found[name], requires = installed.metadata["Version"], list(installed.requires or ())
        for text in requires:
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(
                marker.evaluate({**there, "extra": extra}) for extra in extras or {""}
            ):
                waiting.append(needed)
    return found


def _fetch(wanted: list[str], version: str, machine: str, into: Path) -> None:
    # The newest first: a wheel of any of them runs there if the host's libc is as new.
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in (34, 28, 27, 24, 17)]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--only-binary=:all:", "--python-version", version, "--implementation", "cp",
        "--abi", f"cp{version.replace('.', '')}", "--abi", "abi3", "--abi", "none",
        *(word for one in platforms for word in ("--platform", one)),
        "--platform", f"manylinux2014_{machine}", "--dest", str(into), *wanted,
    ]  # fmt: skip
    _run(command, f"packages for Python {version} on {machine} cannot be fetched")


def _own_wheel(into: Path) -> Path:
    """Return a wheel of this cgbench; a checkout may have changed, and is built each time."""
    folder = into / "own"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into) as made:
        source = Path(cgbench.__file__).resolve().parent.parent
        if (source / "pyproject.toml").is_file():
            _run(
                [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
                 "--no-deps", "--wheel-dir", made, str(source)],
                "no wheel of cgbench can be made",
            )  # fmt: skip
            (wheel,) = Path(made).glob("cgbench-*.whl")
        else:
            wheel = _installed(Path(made) / f"cgbench-{cgbench.__version__}-py3-none-any.whl")
        return wheel.rename(folder / wheel.name)


def _installed(wheel: Path) -> Path:
    """Make a wheel of the files that cgbench was installed as."""
    found = metadata.distribution("cgbench")
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(found.files or (), key=str):
            # What lies outside is the console script.
            if file.parts[0] != ".." and "__pycache__" not in file.parts:
                # A time of its own would give equal files another digest.
                about = zipfile.ZipInfo(str(file))
                archive.writestr(about, Path(str(file.locate())).read_bytes())
    return wheel


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=_FETCH_S, env=programs.environment(),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise FleetError(f"{what}: {error}", "See `pip download`.") from None
    if done.returncode != 0:
        last = next(_last(done.stderr), "pip said nothing")
        raise FleetError(
            f"{what}: {one_line(last, 300)}",
            'Install cgbench on each host, and name its interpreter: python = "...".',
        )


def _last(text: str) -> Iterator[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    yield from (line for line in reversed(lines) if line.startswith("ERROR"))
    yield from reversed(lines)
