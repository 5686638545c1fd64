"""The forms that a result is given in: in files that were named for them, or printed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from cgbench.cli.terminal import PRINTED, say
from cgbench.errors import OptionError


def require(
    json_file: Path | None = None,
    junit: Path | None = None,
    markdown: Path | None = None,
    page: Path | None = None,
) -> None:
    """Refuse what cannot be given, before anything is measured.

    Raises OptionError where two forms would be printed, one into the other, or written to one file,
    and StoreError where a file cannot be written.
    """
    if page == PRINTED:
        raise OptionError("--output -: a page is not printed", "Name a file for it.")
    texts = {"--json": json_file, "--junit": junit, "--markdown": markdown}
    if list(texts.values()).count(PRINTED) > 1:
        raise OptionError(
            "only one of --json, --junit and --markdown can be printed",
            "Name files for the others.",
        )
    files = {
        flag: file
        for flag, file in {**texts, "--output": page}.items()
        if file is not None and file != PRINTED
    }
    for (flag, file), (other, same) in combinations(files.items(), 2):
        if file == same:
            raise OptionError(f"{flag} and {other} both name {file}", "Name two files.")
    if files:
        # Here and not above: most commands write no file.
        from cgbench.records import writing

        for file in files.values():
            writing.require_writable(file)


def file_of(named: Path | None) -> Path | None:
    """Return the file that a form is written to, None where it is printed or not asked for."""
    return None if named == PRINTED else named


def give(text: Callable[[], str], named: Path | None) -> bool:
    """Print a form where that was asked for, and say whether it was; a file is written elsewhere.

    Nothing else belongs on standard output then.
    """
    if named != PRINTED:
        return False
    say(text().removesuffix("\n"))
    return True


def give_or_write(text: Callable[[], str], named: Path | None) -> bool:
    """Print a form, or write it to the file that was named; say whether it was printed."""
    if named is None or named == PRINTED:
        return give(text, named)
    # Here and not above: most commands write no file.
    from cgbench.records import writing

    writing.write_named(named, text())
    return False
