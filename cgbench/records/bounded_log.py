"""A file of JSON lines that stays within a bound, and loses nothing while its disk is full."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from cgbench.errors import StoreError
from cgbench.records import output_folder, writing
from cgbench.records.files import first_complaint
from cgbench.records.versions import DAMAGED
from cgbench.records.watch import Mark

MOST_BYTES = 10 * 2**20
# Kept in memory meanwhile; of more the oldest are lost.
_MOST_WAITING = 10_000


class BoundedLog:
    """Appends marks to a file; the older half of its bound lies beside it, as FILE.1.

    `troubled` says why the last one is not in the file yet, None once all are.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self.path, self._half = path, max(1, most_bytes // 2)
        self.troubled: str | None = None
        self._waiting: deque[str] = deque(maxlen=_MOST_WAITING)
        # What cannot be written at all is told at once.
        with writing.appending(path):
            pass

    def add(self, mark: Mark) -> None:
        """Append a mark; where that fails it waits for the next one, or for `flush`."""
        self._waiting.append(
            json.dumps(mark.model_dump(mode="json", exclude_none=True), allow_nan=False) + "\n"
        )
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            self.troubled = None
            return
        try:
            with writing.appending(self.path) as file:
                while self._waiting and os.fstat(file).st_size < self._half:
                    self._write(file, self._waiting[0])
                    self._waiting.popleft()
            if self._waiting:
                self._turn()
                self.flush()
        except StoreError as error:
            self.troubled = error.message
        else:
            self.troubled = None

    @staticmethod
    def _write(file: int, line: str) -> None:
        """Append a line whole, or none of it."""
        size, content = os.fstat(file).st_size, line.encode()
        try:
            written = os.write(file, content)
            while written < len(content):
                written += os.write(file, content[written:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file, size)
            raise

    def _turn(self) -> None:
        """Put the file aside, in the place of an older one."""
        with writing.explained(self.path), output_folder.opened(self.path.parent) as folder:
            os.replace(self.path.name, f"{self.path.name}.1", src_dir_fd=folder, dst_dir_fd=folder)


def read(path: Path) -> Iterator[Mark]:
    """Yield the marks of a log, the older file's first. Raises StoreError where it is none."""
    older = path.with_name(f"{path.name}.1")
    for file in (older, path):
        if file == older and not older.exists():
            continue
        try:
            lines = file.read_text(errors="replace").splitlines()
        except OSError as error:
            raise StoreError(f"cannot read {file}: {error.strerror or error}") from error
        for number, line in enumerate(lines, 1):
            try:
                yield Mark.model_validate_json(line)
            except ValidationError as error:
                said = first_complaint(error)
                raise StoreError(f"{file}:{number}: not a line of cgbench watch: {said}",
                                 DAMAGED) from None  # fmt: skip
