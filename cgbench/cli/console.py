"""The console that displays and tables are printed on."""

from __future__ import annotations

from rich import console


class Console(console.Console):
    """As rich's own, which would end the command as if a trial had failed when nobody reads it."""

    def on_broken_pipe(self) -> None:
        """Raise what the command's end gives its status to."""
        raise BrokenPipeError
