"""What a fleet came to: one document for all its hosts, and what each host gave, in a folder."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from cgbench.errors import StoreError
from cgbench.records import results, truth
from cgbench.records.audit import Audit
from cgbench.records.comparison import Comparison
from cgbench.records.files import first_complaint, read_bytes, read_versioned
from cgbench.records.host import Host
from cgbench.records.run_directory import RunDirectory
from cgbench.records.truth import TruthTable
from cgbench.records.versions import AUDIT, DAMAGED, FLEET, TRUTH
from cgbench.records.writing import write_file
from cgbench.spec.fields import Foreign, Label, RunName
from cgbench.spec.host_list import HostName, Tag
from cgbench.spec.model import Model

FOLDER = "fleet"
"""Where fleets are kept below the results."""

FILE = "fleet.json"
_HOSTS = "hosts"
_GIVEN = "given"
_DOCUMENT = "document.json"
_ADVICE = "Name a folder that `cgbench fleet` left below results/fleet."
_MOST_BYTES = 2 * 2**30
_MOST_FILES = 20_000

CommandName = Literal["verify", "audit", "run", "gate"]


class State(StrEnum):
    """Where a host is; the last five are ends."""

    WAITING = "waiting"
    RUNNING = "running"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    LOST = "lost"
    FAILED = "failed"
    DONE = "done"

    @property
    def over(self) -> bool:
        """Whether nothing more comes of this host by itself."""
        return self not in (State.WAITING, State.RUNNING)


class Member(Model):
    """One host of a fleet: where it is, why, and how its command ended.

    `reason` is None where nothing is wrong. `status` is the command's exit status, `seconds` what
    it took by the host's own clock, `worker_cpu_s` the CPU time that the worker used beside it.
    """

    name: HostName
    tags: tuple[Tag, ...] = ()
    state: State = State.WAITING
    reason: Foreign | None = None
    status: int | None = None
    seconds: float | None = None
    worker_cpu_s: float | None = None
    host: Host | None = None

    @property
    def measured(self) -> bool:
        """Whether it gave a document."""
        return self.state is State.DONE


class FleetRecord(Model):
    """A fleet's run: `name` is its folder, `command` what all hosts were to do."""

    schema_version: int = FLEET.written
    name: RunName
    cgbench: Label
    started: Label
    command: CommandName
    arguments: tuple[Label, ...]
    members: tuple[Member, ...]

    def with_member(self, member: Member) -> FleetRecord:
        """Return the record with one host's entry replaced."""
        return self.model_copy(update={"members": tuple(
            member if one.name == member.name else one for one in self.members
        )})  # fmt: skip

    def member(self, name: str) -> Member:
        """Return one host's entry."""
        return next(one for one in self.members if one.name == name)


class FleetFolder:
    """The folder of one fleet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def file(self) -> Path:
        """The fleet's document."""
        return self.path / FILE

    def write(self, record: FleetRecord) -> None:
        """Write the fleet's document whole. Raises StoreError when it cannot be."""
        write_file(self.file, json.dumps(record.model_dump(mode="json"), indent=1) + "\n")

    def read(self) -> FleetRecord:
        """Read the fleet's document. Raises StoreError where it is none."""
        document = read_versioned(self.file, FLEET, _ADVICE)
        try:
            return FleetRecord.model_validate(document)
        except ValidationError as error:
            said = first_complaint(error)
            raise StoreError(f"{self.file}: not a fleet: {said}", DAMAGED) from None

    def give(self, files: Mapping[str, str], host: str = "") -> None:
        """Keep the files that all hosts, or one, are given, for a fleet that is resumed."""
        for name, text in files.items():
            write_file(self.path / _GIVEN / host / name, text)

    def given(self, host: str = "") -> dict[str, str]:
        """Return the files that all hosts are given, or those that one is given besides."""
        return {
            path.name: read_bytes(path).decode(errors="replace")
            for path in sorted((self.path / _GIVEN / host).glob("*"))
            if path.is_file()
        }

    def document(self, host: str) -> Path:
        """Return where the document of one host lies."""
        return self.path / _HOSTS / host / _DOCUMENT

    def keep(self, host: str, document: str, files: bytes) -> None:
        """Keep what a host gave; the document comes last, so that it stands for all of it.

        Raises StoreError where it cannot be written, or the host packed what belongs elsewhere.
        """
        folder = self.path / _HOSTS / host
        if files:
            _unpack(files, folder / "results", host)
        write_file(self.document(host), document)

    def truth(self, host: str) -> TruthTable:
        """Return the truth table that a host gave. Raises StoreError where it is none."""
        path = self.document(host)
        return truth.parsed(read_versioned(path, TRUTH, _ADVICE), path)

    def runs(self, host: str) -> list[RunDirectory]:
        """Return the runs that a host gave, oldest first."""
        return results.runs(self.path / _HOSTS / host / "results")

    def comparisons(self, host: str) -> list[Comparison]:
        """Return what the gate of a host found. Raises StoreError where it is no such thing."""
        path = self.document(host)
        try:
            entries = json.loads(read_bytes(path))
            # What is worked out from the rest is not read.
            bare = [{key: one[key] for key in one if key != "overall"} for one in entries]
            return [Comparison.model_validate(one) for one in bare]
        except ValidationError as error:
            said = first_complaint(error)
            raise StoreError(f"{path}: not a comparison: {said}", DAMAGED) from None
        except (ValueError, TypeError, RecursionError):
            raise StoreError(f"{path}: not a list of comparisons", DAMAGED) from None

    def audit(self, host: str) -> Audit:
        """Return the audit that a host gave. Raises StoreError where it is none."""
        path = self.document(host)
        found = read_versioned(path, AUDIT, _ADVICE)
        found.pop("findings", None)
        try:
            return Audit.model_validate(found)
        except ValidationError as error:
            said = first_complaint(error)
            raise StoreError(f"{path}: not an audit: {said}", DAMAGED) from None


def _unpack(files: bytes, folder: Path, host: str) -> None:
    # Another host's bytes: `data` lets no member out of the folder, nor be a device.
    try:
        with tarfile.open(fileobj=io.BytesIO(files), mode="r:gz") as archive:
            archive.extractall(folder, members=_bounded(archive, host), filter="data")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise StoreError(f"{host}: its files cannot be unpacked: {error}") from None
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror or error}") from None


def _bounded(archive: tarfile.TarFile, host: str) -> Iterator[tarfile.TarInfo]:
    total = 0
    for number, member in enumerate(archive):
        total += member.size
        if total > _MOST_BYTES or number >= _MOST_FILES:
            raise StoreError(
                f"{host}: it sends more than {_MOST_FILES} files or {_MOST_BYTES} bytes"
            )
        yield member


def find(text: str, below: Path) -> FleetFolder:
    """Return the fleet that `text` names: its folder, its name, or `fleet` for the latest.

    Raises StoreError where there is none.
    """
    path = Path(text)
    if (path / FILE).is_file():
        return FleetFolder(path)
    known = sorted((below / FOLDER).glob(f"*/{FILE}"))
    fitting = known[-1:] if text == FOLDER else [
        one for one in known if one.parent.name.startswith(text)
    ]  # fmt: skip
    if len(fitting) != 1:
        what = "no fleet is" if not fitting else f"{len(fitting)} fleets are"
        raise StoreError(f"{what} called {text} under {below / FOLDER}", _ADVICE)
    return FleetFolder(fitting[0].parent)


def members(hosts: Mapping[str, tuple[str, ...]]) -> tuple[Member, ...]:
    """Return the entries of hosts that wait, from their tags by name."""
    return tuple(Member(name=name, tags=tags) for name, tags in hosts.items())
