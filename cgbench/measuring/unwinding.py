"""Taking things down whole: an interrupt that comes meanwhile waits until that is done."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from cgbench.errors import CgbenchError
from cgbench.host.scratch.commands import undisturbed


class UndisturbedExit(ExitStack):
    """An ExitStack whose way out no interrupt cuts short, also where nothing went wrong before.

    The third interrupt still ends the process.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Take everything down, and raise the interrupt that came meanwhile then.

        An interrupt stays one where something cannot be taken down; it notes what.
        """
        with undisturbed():
            try:
                return super().__exit__(kind, error, trace)
            except CgbenchError as refusal:
                if error is None or isinstance(error, Exception):
                    raise
                error.add_note(str(refusal))
                return False
