"""Experiment files that cannot be used: each is refused in one line that names the place.

The texts are the messages themselves, so that a change of one is seen and judged.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cgbench.errors import CgbenchError
from cgbench.spec import experiment_file

GOOD = """\
name = "x"
title = "t"
question = "q"
option = "cpu-quota"

[[containers]]
role = "worker"
workload = "spin"

[[steps]]
set = { cpu-quota = [20000, 50000] }
hold = "1s"
"""

QUOTA = "--cpu-quota takes µs of at least 1000; -1 lifts it."
LONG = "9" * 400


def edited(was: str, becomes: str) -> bytes:
    assert was in GOOD
    return GOOD.replace(was, becomes).encode()


def value(text: str, option: str = "cpu-quota") -> bytes:
    return GOOD.replace("[20000, 50000]", text).replace("cpu-quota", option).encode()


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "FILE: name is missing\nAdd the key name."),
    "no UTF-8": (b"\xff\xfen\0", "cannot read FILE: not UTF-8 at byte 1\nSave it as UTF-8 text."),
    "a byte order mark": (
        b"\xef\xbb\xbf" + GOOD.encode(),
        "FILE: begins with a byte order mark\nSave it as UTF-8 without one.",
    ),
    "too large": (GOOD.encode() + b"#" * 2**20, "cannot read FILE: larger than 1 MiB"),
    "no value": (
        edited('"t"', "= 1"),
        "FILE: Invalid value (at line 2, column 9)\nFix the TOML syntax there.",
    ),
    "an open quote": (
        edited('"t"', '"t'),
        "FILE: Illegal character '\\n' (at line 2, column 11)\nFix the TOML syntax there.",
    ),
    "a NUL": (
        edited('"t"', '"a\0b"'),
        "FILE: Illegal character '\\x00' (at line 2, column 11)\nFix the TOML syntax there.",
    ),
    "200,000 open brackets": (
        b"a = " + b"[" * 200_000,
        "FILE: nested too deeply\nClose the brackets that are open.",
    ),
    "tables in tables": (
        b"a = " + b"{a=" * 50_000,
        "FILE: nested too deeply\nClose the brackets that are open.",
    ),
    "a key of many parts": (
        b"a" + b".a" * 5000 + b" = 1",
        "FILE: nested too deeply below a.a.a\nRemove that key.",
    ),
    "5,000 digits": (
        b"trials = " + b"9" * 5000,
        "FILE: a number has thousands of digits\nWrite a smaller number.",
    ),
    "5,000 hexadecimal digits": (
        value("0x" + "f" * 5000),
        "FILE: steps.1.set.cpu-quota does not fit into 64 bits\nWrite a smaller number.",
    ),
    "no number": (
        value("nan"),
        "FILE: steps.1.set.cpu-quota: should be a finite number, a text or a list of these "
        "(got nan)",
    ),
    "infinity": (
        value("inf"),
        "FILE: steps.1.set.cpu-quota: should be a finite number, a text or a list of these "
        "(got inf)",
    ),
    "a value below the domain": (
        value("-5"), f"FILE: steps.1: --cpu-quota -5 is below 1000\n{QUOTA}",
    ),
    "a date": (
        value("1979-05-27"),
        "FILE: steps.1.set.cpu-quota: should be a finite number, a text or a list of these "
        "(got datetime.date(1979, 5, 27))",
    ),
    "a table for a value": (
        value("{ a = 1 }"),
        "FILE: steps.1.set.cpu-quota: should be a finite number, a text or a list of these "
        "(got {'a': 1})",
    ),
    "no values": (value("[]"), "FILE: steps.1: set: nothing in cpu-quota\nAdd a value."),
    "nothing set": (
        edited("cpu-quota = [20000, 50000]", ""),
        "FILE: steps.1.set is empty\nGive it at least one entry.",
    ),
    "more CPUs than any kernel has": (
        value('"1e999990"', "cpus"),
        "FILE: steps.1: --cpus 1e999990: too many CPUs: '1e999990'\n"
        "--cpus takes CPUs of at least 0.01.",
    ),
    "a policy's count that is no number": (
        value('"on-failure:²"', "restart"),
        "FILE: steps.1: --restart on-failure:²: its count is not a whole number\n"
        "--restart takes a policy as Docker documents it.",
    ),
    "millions of changes": (
        value(str([2000] * 50_000)).replace(b"hold", b"repeat = 1000\nhold"),
        "FILE: steps: they stand for 50000000 changes, more than 10000\n"
        "Shorten the lists, lower `repeat` or `trials`, or split the experiment.",
    ),
    "millions of trials": (
        value("[2000, 3000]").replace(b"hold", b'via = "run"\nrepeat = 1000\nhold').replace(
            b"option =", b"trials = 1000\noption ="
        ),
        "FILE: steps: they stand for 2000000 trials, more than 100000\n"
        "Shorten the lists, lower `repeat` or `trials`, or split the experiment.",
    ),
    "a name that is a number": (
        edited('"x"', "3"), "FILE: name: Input should be a valid string (got 3)",
    ),
    "a name in capitals": (
        edited('"x"', '"X y"'),
        "FILE: name: String should match pattern '^[a-z][a-z0-9-]*$' (got 'X y')",
    ),
    "a title that is a long list": (
        edited('"t"', str(list(range(5000)))),
        "FILE: title: Input should be a valid string (got [0, 1, 2, 3, 4, 5, ...])",
    ),
    "a misspelt key": (
        edited("title", "titel"), "FILE: unknown key titel\nDid you mean title?",
    ),
    "a key with a line end in it": (
        GOOD.encode() + b'"a\\nb" = 1\n',
        "FILE: unknown key steps.1.a b\nRemove it. Keys there: set, "
        "hold, via, role, needs, fit_host, repeat, rewrite, settle, may_end, prepares, note, "
        "scheduler. "
        "For example: set = { cpu-quota = [20000, 50000] }",
    ),
    "a misspelt key in a table": (
        GOOD.encode() + b'holdd = "1s"\n', "FILE: unknown key steps.1.holdd\nDid you mean hold?",
    ),
    "a short hold": (
        edited('"1s"', "3"),
        "FILE: steps.1.hold: should be at least 50ms, written such as 6s or 250ms (got 3)",
    ),
    "a word for a hold": (
        edited('"1s"', '"soon"'), "FILE: steps.1.hold: not a duration: 'soon'",
    ),
    "a hold longer than any clock": (
        edited('"1s"', f'"{LONG}s"'),
        "FILE: steps.1.hold: Input should be less than or equal to 9223372036854775807 "
        f"(got '{LONG[:37]}...{LONG[:37]}s')",
    ),
    "a role that is a list": (
        edited('"worker"', '["a"]'),
        "FILE: containers.1.role: Input should be a valid string (got ['a'])",
    ),
    "a workload elsewhere": (
        edited('"spin"', '"../../etc/passwd"'),
        "FILE: containers.1.workload: String should match pattern '^[a-z][a-z0-9-]*$' "
        "(got '../../etc/passwd')",
    ),
    "one table of containers": (
        edited("[[containers]]", "[containers]"),
        "FILE: containers: Input should be a valid tuple "
        "(got {'role': 'worker', 'workload': 'spin'})",
    ),
    "a band that is no number": (
        GOOD.encode() + b'[verify]\noptions = ["cpu-quota"]\nband = { pct = nan }\n',
        "FILE: verify.band.pct: Input should be a finite number (got nan)",
    ),
}  # fmt: skip

RIGHT: dict[str, str] = {
    "empty": 'name = "my-sweep"',
    "no value": 'title = "My quotas, one by one"',
    "an open quote": 'title = "My quotas, one by one"',
    "a NUL": 'title = "My quotas, one by one"',
    "no number": "set = { cpu-quota = 30000 }",
    "infinity": "set = { cpu-quota = 30000 }",
    "a value below the domain": "set = { cpu-quota = 30000 }",
    "a date": "set = { cpu-quota = 30000 }",
    "a table for a value": "set = { cpu-quota = 30000 }",
    "no values": "set = { cpu-quota = [30000] }",
    "nothing set": "set = { cpu-quota = [20000, 50000] }",
    "more CPUs than any kernel has": 'set = { cpus = "0.5" }',
    "a policy's count that is no number": 'set = { restart = "on-failure:3" }',
    "a name that is a number": 'name = "my-sweep"',
    "a name in capitals": 'name = "my-sweep"',
    "a title that is a long list": 'title = "My quotas, one by one"',
    "a misspelt key": 'title = "My quotas, one by one"',
    "a misspelt key in a table": 'hold = "6s"',
    "a short hold": 'hold = "6s"',
    "a word for a hold": 'hold = "6s"',
    "a hold longer than any clock": 'hold = "6s"',
    "a role that is a list": 'role = "worker"',
    "a workload elsewhere": 'workload = "spin"',
    "one table of containers": "[[containers]]",
    "a band that is no number": "band = { pct = 2.0 }",
}
"""The lines that are shown as right beside some of these."""


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_the_words(name: str, tmp_path: Path) -> None:
    content, message = REFUSED[name]
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(CgbenchError) as caught:
        experiment_file.load(str(path))
    if name in RIGHT:
        message += f"{' ' if chr(10) in message else chr(10)}For example: {RIGHT[name]}"
    assert str(caught.value).replace(str(path), "FILE") == message


def directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (directory, "Is a directory"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    ],
)
def test_what_is_no_file_is_refused_and_not_waited_for(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.toml"
    make(path)
    with pytest.raises(CgbenchError) as caught:
        experiment_file.load(str(path))
    assert str(caught.value) == f"cannot read {path}: {reason}"


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "y").write_text(GOOD)
    (tmp_path / "x.toml").symlink_to("y")
    assert experiment_file.load(str(tmp_path / "x.toml")).name == "x"


def test_a_name_longer_than_a_file_may_have_is_refused() -> None:
    with pytest.raises(CgbenchError, match=r"cannot read .*: File name too long"):
        experiment_file.load("a" * 5000 + ".toml")
