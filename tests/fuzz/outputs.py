"""What a command may leave behind and show: looked at after each call."""

from __future__ import annotations

import html.parser
import json
import os
import re
import resource
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cgbench.foreign import printable
from tests.fuzz.hostile import MARK

MOST_MIB = 500
"""How much memory a command may take to answer damaged input."""

_FRESH_MIB = 65
"""What a process has that begins to answer and has run no other test before."""

_WATCHED = ("/", "/etc", "/root", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/run", ".")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What changes a file, and which of its arguments are paths.
_CHANGING = {
    "os.mkdir": (0,), "os.remove": (0,), "os.rmdir": (0,), "os.rename": (0, 1), "os.link": (1,),
    "os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,),
    "shutil.move": (1,),
}  # fmt: skip
_FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")
# A line that our Markdown begins, each of another kind.
_LINES = re.compile(
    r"|### [✗!?+✓] .+|- .+|\|.+\||\d+ more, none of them worse than the last\.|[A-Z].+"
)


# Tags of ours stand around labels; nothing foreign is in a tag, nor a field of a template.
_FOREIGN_TAG = re.compile(rf"<[^<>]*{MARK}|<b>{MARK}</b>")
_FOREIGN_FIELD = re.compile(rf"%\{{[^}}]*{MARK}")


class Finding(Exception):
    """An answer that is neither a success nor one clear error, or that leaves a trace."""


class _Watch:
    """What was written where, since it was last asked: a hook of Python cannot be taken off."""

    def __init__(self) -> None:
        self.home: str | None = None
        self.seen: list[str] = []

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.home is None:
            return
        if event in _FORBIDDEN:
            self.seen.append(f"{event} {arguments[:2]!r}"[:200])
        elif event == "open":
            path, _mode, flags = arguments
            if isinstance(flags, int) and flags & _WRITING:
                self._note(event, path)
        else:
            for place in _CHANGING.get(event, ()):
                self._note(event, arguments[place])

    def _note(self, event: str, path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            name = os.fsdecode(path)
            if not name.startswith("/") and "/" not in name:
                # Relative to a folder that is open: what is fuzzed names all others whole.
                return
            real = os.path.realpath(name)
            if not real.startswith(f"{self.home}/") and real != os.devnull:
                self.seen.append(f"{event} {real}"[:200])


_watch: _Watch | None = None


@contextmanager
def within(home: Path) -> Iterator[None]:
    """Raise Finding if anything outside of `home` is written, or another program started."""
    global _watch
    if _watch is None:
        _watch = _Watch()
        sys.addaudithook(_watch.hook)
    before, keeps_no_bytecode = _names(), sys.dont_write_bytecode
    # What Python keeps of a module that is imported meanwhile is not written by cgbench.
    sys.dont_write_bytecode = True
    _watch.home, _watch.seen = os.path.realpath(home), []
    try:
        yield
    finally:
        _watch.home = None
        sys.dont_write_bytecode = keeps_no_bytecode
    if _watch.seen:
        raise Finding(f"outside of the results: {_watch.seen[0]}")
    if appeared := [one for one in _names() - before if MARK in one]:
        raise Finding(f"a file appeared: {sorted(appeared)[0]!r}")
    own = Path(tempfile.gettempdir())
    if str(own) not in _WATCHED and (left := [one.name for one in own.iterdir()]):
        raise Finding(f"a temporary file was left: {left[0]!r}")


def _names() -> set[str]:
    folders = [one for one in _WATCHED if Path(one).is_dir()]
    # Not Path.iterdir(): /tmp may hold thousands, each of which would become a Path.
    return {entry.path for folder in folders for entry in os.scandir(folder)}


def check_text(text: str, what: str) -> None:
    """Raise Finding if a text holds anything that steers a terminal."""
    if printable(text) != text:
        at = next(place for place, one in enumerate(text) if printable(one) != one)
        raise Finding(f"{what} holds {text[max(0, at - 20) : at + 20]!r}")


def check_xml(path: Path) -> None:
    """Raise Finding unless a file is XML that every parser reads, with no element of others."""
    text = path.read_text()
    check_text(text, path.name)
    try:
        tags = {one.tag for one in ET.fromstring(text).iter()}
    except ET.ParseError as error:
        raise Finding(f"{path.name}: {error}") from None
    if MARK in tags:
        raise Finding(f"{path.name} holds an element of somebody else")


def check_markdown(path: Path) -> None:
    """Raise Finding if a line of our Markdown is none of ours."""
    text = path.read_text()
    check_text(text, path.name)
    for line in text.split("\n"):
        if not _LINES.fullmatch(line):
            raise Finding(f"{path.name}: {line[:80]!r} is no line of ours")
        if line.startswith("|") and len(re.findall(r"(?<!\\)\|", line)) != 6:
            raise Finding(f"{path.name}: {line[:80]!r} has not five cells")
    if re.search(rf"(?<!\\)\]\(http://{MARK}|(?<!\\)<{MARK}", re.sub(r"`[^`\n]*`", "", text)):
        raise Finding(f"{path.name} holds markup of somebody else")


class _Page(html.parser.HTMLParser):
    """The elements and texts of a page; what scripts hold is data, and no markup."""

    def __init__(self) -> None:
        super().__init__()
        self.script = False
        self.foreign = ""
        self.plots = ""
        self._in_plots = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.script = tag in ("script", "style")
        self._in_plots = ("id", "cgbench-plots") in attrs
        if MARK in tag or any(MARK in name or name.startswith("on") for name, _ in attrs):
            self.foreign = tag

    def handle_endtag(self, tag: str) -> None:
        self.script = self._in_plots = False

    def handle_data(self, data: str) -> None:
        if self._in_plots:
            self.plots += data
        if not self.script:
            check_text(data, "the page")


def check_page(path: Path) -> None:
    """Raise Finding if a page holds an element, or a text that hides something, of others."""
    page = _Page()
    page.feed(path.read_text())
    page.close()
    if page.foreign:
        raise Finding(f"{path.name} holds the element {page.foreign[:60]}")
    for key, text in _texts(json.loads(page.plots or "{}")):
        check_text(text, "a plot")
        if _FOREIGN_TAG.search(text) or (key == "hovertemplate" and _FOREIGN_FIELD.search(text)):
            raise Finding(f"a plot holds markup of somebody else: {text[:80]!r}")


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a JSON document that stands for a value, behind its key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)


def memory_mib() -> int:
    """Return the most memory that this process has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def check_memory(begun_mib: int) -> None:
    """Raise Finding if this process, which began with so much, took more than a command should."""
    # What other tests left in memory before a fork is none of the command's.
    took = memory_mib() - begun_mib + _FRESH_MIB
    if took > MOST_MIB:
        raise Finding(f"it took {took} MiB of memory")
