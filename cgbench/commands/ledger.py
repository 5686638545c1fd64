"""The document of a fleet while it changes: written again and again, once for many changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import ValidationError

from cgbench.errors import StoreError
from cgbench.records.fleet import FleetFolder, FleetRecord, Member, State

Show = Callable[[str, str], None]
"""Shown a host's name and what becomes of it, in a few words."""

_GATHER_S = 0.3
"""How long changes are gathered for one writing."""


class Ledger:
    """What became of each host of a fleet so far."""

    def __init__(self, folder: FleetFolder, show: Show) -> None:
        self.folder = folder
        self.show = show
        self._head = folder.read()
        self._members = {one.name: one for one in self._head.members}
        self._changed = asyncio.Event()
        self._written = asyncio.Event()
        self._failure: StoreError | None = None

    @property
    def name(self) -> str:
        """The fleet's name."""
        return self._head.name

    @property
    def record(self) -> FleetRecord:
        """The document as it is now."""
        return self._head.model_copy(update={"members": tuple(self._members.values())})

    def note(self, name: str, state: State, reason: str | None = None, **more: Any) -> None:
        """Take down what became of a host."""
        before = self._members[name]
        try:
            known = {**dict(before), **more, "state": state, "reason": reason}
            member = Member.model_validate(known)
        except ValidationError:
            # Its answer is none of this cgbench's, whatever it says of its version.
            failed = {"state": State.FAILED, "reason": "its answer makes no sense"}
            member = before.model_copy(update=failed)
        self._members[name] = member
        self.show(name, state.value if reason is None else f"{state.value}: {reason}")
        self._changed.set()

    async def kept(self) -> None:
        """Return once all that was noted is in the file. Raises StoreError if it cannot be."""
        self._changed.set()
        await self._written.wait()
        if self._failure is not None:
            raise self._failure

    def write(self) -> None:
        """Write it now. Raises StoreError when it cannot be."""
        self.folder.write(self.record)

    @asynccontextmanager
    async def written(self) -> AsyncIterator[None]:
        """Write it while the block goes on, soon after each change."""
        writing = asyncio.ensure_future(self._write_on())
        try:
            yield
        finally:
            writing.cancel()

    async def _write_on(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_GATHER_S)
            self._changed.clear()
            # Whoever asks from now on waits for the next one.
            told, self._written = self._written, asyncio.Event()
            try:
                await asyncio.to_thread(self.folder.write, self.record)
            except StoreError as error:
                self._failure = error
            else:
                self._failure = None
            told.set()
