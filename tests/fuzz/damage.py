"""Damage as data: each case says what it does to which file, and so can be kept and repeated."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.fuzz import hostile

Case = Mapping[str, Any]
"""`file`, `do`, and what that needs: everything in it can be written as JSON."""

VALUES: tuple[str, ...] = (
    "null", "true", "false", "0", "1", "-1", "0.5", "-0.0", "2147483648", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "1" + "0" * 30, "9" * 5000, "1e308", "5e-324",
    "1e999", "NaN", "-Infinity", '""', '"x"', '"0"', '"-1"', '"NaN"', '"1e999999"', '"0-99999999"',
    '"\\u0000"', '"\\ud800"', '"a\\nb"', '"' + "x" * 5000 + '"', '"<script>alert(1)</script>"',
    '"../../etc/passwd"', '"cpu-quota"', '"memory"', '"cpus"', '"restart"', '"worker"', '"ok"',
    '"failed"', '"update"', '"2026-13-99T99:99:99"', "[]", "{}", "[null]", "[[]]", '{"a": 1}',
    "[" * 5000 + "]" * 5000, "[" + "0," * 5000 + "0]",
)  # fmt: skip
"""Texts that are put in the place of a value of JSON."""

TOML_VALUES: tuple[str, ...] = (
    "true", "0", "-1", "1", "1.5", "nan", "inf", "-inf", "9223372036854775807", "1" + "0" * 30,
    "9" * 5000, "0x" + "f" * 4000, "1e308", "5e-324", '""', '"x"', '"0s"', '"9999999999h"',
    '"' + "9" * 5000 + 's"', '"' + "9" * 5000 + 'p"', '"-1"', '"\\u0000"', '"a\\nb"', "'''\n'''",
    '"' + "x" * 5000 + '"', '"<b>"', '"0-8191"', '"0,,1"', '"1e999999"', '"on-failure:²"',
    '"../../x"', "1979-05-27", "07:32:00", "[]", "{}", "[[]]", "{ a = 1 }", "[1, 'a', 2.5]",
    "[" * 2000 + "]" * 2000, "[" + "2000, " * 3000 + "2000]", '"run"', '"cgroupfs"', '"cpu-period"',
    '"memory"', '"restart"', '"blkio-weight"', '"pids-limit"', '"spin"', '"grow"', '"fio-randread"',
)  # fmt: skip

SNIPPETS: tuple[bytes, ...] = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b"[", b"]", b"{", b"}", b'"', b"'''", b"=",
    b",", b"[[steps]]\n", b"[a.b.c]\n", b"\\u", b"#", b"PAR1", b"\x1b[31m", "\u2028".encode(),
    b"[" * 20000, b"a." * 3000, b" " * 5000, b'{"a":' * 3000,
)  # fmt: skip

_TOKEN = re.compile(r'"[^"\n]*"|\[[^\]\n]*\]|\{[^}\n]*\}|[\w.+-]+')
_PLACE = ("delete", "empty", "directory", "pipe", "loop", "dangling", "device", "unreadable")


def of_text(file: str, content: bytes, rng: random.Random) -> Case:
    """Return a case for an experiment file, or for any other text."""
    text = content.decode()
    tokens = [match.span() for match in _TOKEN.finditer(text)]
    kind = rng.random()
    if kind < 0.3:
        begin, end = rng.choice(tokens)
        value = rng.choice(hostile.KEYS if kind < 0.05 else hostile.TOML_VALUES)
        return {"file": file, "do": "replace", "at": [begin, end], "text": value}
    if kind < 0.55:
        begin, end = rng.choice(tokens)
        return {"file": file, "do": "replace", "at": [begin, end], "text": rng.choice(TOML_VALUES)}
    if kind < 0.65:
        (first, second) = rng.choice(tokens), rng.choice(tokens)
        other = text[second[0] : second[1]]
        return {"file": file, "do": "replace", "at": [*first], "text": other}
    if kind < 0.8:
        lines = text.count("\n")
        return {"file": file, "do": "line", "number": rng.randrange(lines),
                "how": rng.choice(("drop", "double", "swap"))}  # fmt: skip
    return of_bytes(file, content, rng)


def of_bytes(file: str, content: bytes, rng: random.Random) -> Case:
    """Return a case for the bytes of any file, or for what lies in its place."""
    size = max(1, len(content))
    kind = rng.random()
    if kind < 0.2:
        return {"file": file, "do": "cut", "at": rng.randrange(size)}
    if kind < 0.55:
        bits = [rng.randrange(8 * size) for _ in range(rng.choice((1, 1, 2, 8, 64)))]
        return {"file": file, "do": "flip", "bits": bits}
    if kind < 0.75:
        return {"file": file, "do": "insert", "at": rng.randrange(size),
                "hex": rng.choice(SNIPPETS).hex()}  # fmt: skip
    if kind < 0.8:
        return {"file": file, "do": "encode", "as": rng.choice(("utf-16", "utf-32", "latin-1"))}
    return {"file": file, "do": rng.choice(_PLACE)}


def of_json(file: str, content: bytes, rng: random.Random) -> Case:
    """Return a case for one value of a file of JSON, or of one line of it."""
    line = rng.randrange(max(1, content.count(b"\n"))) if file.endswith(".jsonl") else None
    text = content if line is None else content.split(b"\n")[line]
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    places = list(_places(document))
    if not places:
        return of_bytes(file, content, rng)
    how = rng.random()
    case = {"file": file, "line": line, "place": rng.choice(places)}
    if how < 0.4:
        texts = [one for one in places if isinstance(_at(document, one), str)]
        chosen = rng.choice(texts or places)
        return {**case, "place": chosen, "do": "put", "text": rng.choice(hostile.JSON_VALUES)}
    if how < 0.45:
        value = rng.choice(hostile.JSON_VALUES)
        return {**case, "do": "add", "key": rng.choice(hostile.TEXTS), "text": value}
    if how < 0.75:
        return {**case, "do": "put", "text": rng.choice(VALUES)}
    if how < 0.85:
        return {**case, "do": "drop"}
    if how < 0.93:
        return {**case, "do": "copy", "from": rng.choice(places)}
    return {**case, "do": "add", "text": rng.choice(VALUES)}


def of_table(file: str, columns: list[str], rng: random.Random) -> Case:
    """Return a case for the columns, rows or metadata of a Parquet file."""
    how = rng.choice(("drop", "rename", "text", "float", "null", "huge", "negative", "reverse",
                      "none", "double", "role", "version", "list", "bytes", "hostile", "hostile",
                      "packed", "packed"))  # fmt: skip
    to = rng.choice(("0", "9", "x", "", "99999999999999999999", "-1", "role", "t_ns"))
    if how in ("hostile", "packed", "rename") and rng.random() < 0.8:
        to = rng.choice(hostile.TEXTS)
    return {"file": file, "do": "table", "how": how, "column": rng.choice(columns), "to": to}


def _places(value: object, here: tuple[str | int, ...] = ()) -> Any:
    if here:
        yield list(here)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*here, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*here, index))


def _at(document: Any, place: list[str | int]) -> Any:
    for key in place:
        document = document[key]
    return document


# Doing it


def apply(case: Case, folder: Path) -> None:
    """Damage a file below `folder` as a case says."""
    path = folder / case["file"]
    do = case["do"]
    if do in _IN_PLACE:
        content = path.read_bytes()
        path.unlink()
        _IN_PLACE[do](path, content)
    elif do == "table":
        _change_table(path, case)
    elif do == "swap":
        other = folder / case["with"]
        mine, theirs = path.read_bytes(), other.read_bytes()
        other.write_bytes(mine)
        path.write_bytes(theirs)
    else:
        path.write_bytes(_CHANGES[do](path.read_bytes(), case))


def _cut(content: bytes, case: Case) -> bytes:
    at: int = case["at"]
    return content[:at]


def _flip(content: bytes, case: Case) -> bytes:
    changed = bytearray(content)
    for bit in case["bits"]:
        if bit // 8 < len(changed):
            changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _insert(content: bytes, case: Case) -> bytes:
    return content[: case["at"]] + bytes.fromhex(case["hex"]) + content[case["at"] :]


def _encode(content: bytes, case: Case) -> bytes:
    encoding: str = case["as"]
    return content.decode(errors="replace").encode(encoding, errors="replace")


def _replace(content: bytes, case: Case) -> bytes:
    text, (begin, end) = content.decode(), case["at"]
    return f"{text[:begin]}{hostile.expanded(case['text'])}{text[end:]}".encode()


def _line(content: bytes, case: Case) -> bytes:
    lines = content.split(b"\n")
    number = case["number"]
    if case["how"] == "drop":
        del lines[number]
    elif case["how"] == "double":
        lines.insert(number, lines[number])
    else:
        lines[number], lines[-1 - number] = lines[-1 - number], lines[number]
    return b"\n".join(lines)


_HERE = "\u2603 here \u2603"


def _json(content: bytes, case: Case) -> bytes:
    lines = [content] if case["line"] is None else content.split(b"\n")
    at = case["line"] or 0
    document = json.loads(lines[at])
    *way, last = case["place"]
    parent = document
    for key in way:
        parent = parent[key]
    if case["do"] == "drop":
        del parent[last]
    elif case["do"] == "copy":
        value: Any = document
        for key in case["from"]:
            value = value[key]
        parent[last] = json.loads(json.dumps(value))
    elif case["do"] == "add" and isinstance(parent, dict):
        parent[case.get("key", "mood")] = _HERE
    else:
        parent[last] = _HERE
    text = json.dumps(document).replace(json.dumps(_HERE), hostile.expanded(case.get("text", "")))
    lines[at] = text.encode()
    return b"\n".join(lines)


_CHANGES: Mapping[str, Callable[[bytes, Case], bytes]] = {
    "cut": _cut, "flip": _flip, "insert": _insert, "encode": _encode, "replace": _replace,
    "line": _line, "put": _json, "drop": _json, "copy": _json, "add": _json,
}  # fmt: skip


def _nothing(path: Path, content: bytes) -> None:
    """Leave the place empty."""


def _unreadable(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0)


_IN_PLACE: Mapping[str, Callable[[Path, bytes], object]] = {
    "delete": _nothing,
    "empty": lambda path, _: path.write_bytes(b""),
    "directory": lambda path, _: path.mkdir(),
    "pipe": lambda path, _: os.mkfifo(path),
    "loop": lambda path, _: path.symlink_to(path),
    "dangling": lambda path, _: path.symlink_to("nowhere"),
    "device": lambda path, _: path.symlink_to("/dev/zero"),
    "unreadable": _unreadable,
}


_MOST_TEXT = 2**25


def _change_table(path: Path, case: Case) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Not pq.read_table(), whose data sets import pandas.
    with pq.ParquetFile(path) as file:
        table = file.read()
    name, how, size = case["column"], case["how"], table.num_rows
    if name not in table.column_names:
        return
    index = table.column_names.index(name)
    instead: Mapping[str, Callable[[], Any]] = {
        "text": lambda: pa.array(["x"] * size),
        "float": lambda: pa.array([float("nan")] * size),
        "null": lambda: pa.nulls(size),
        "huge": lambda: pa.array([2**63 - 1] * size),
        "negative": lambda: pa.array([-1] * size),
        "list": lambda: pa.array([[1, 2]] * size),
        "bytes": lambda: pa.array([b"\xff\xfe"] * size),
        # The damage itself must not take the memory that is measured; `packed` has long texts.
        "hostile": lambda: pa.array([case["to"][: _MOST_TEXT // max(1, size)]] * size),
    }
    if how in instead:
        table = table.set_column(index, name, instead[how]())
    elif how == "drop":
        table = table.drop_columns([name])
    elif how == "rename":
        names = list(table.column_names)
        names[index] = case["to"]
        table = table.rename_columns(names)
    elif how == "reverse":
        table = table.take(pa.array(range(size - 1, -1, -1), pa.int64()))
    elif how == "none":
        table = table.slice(0, 0)
    elif how == "packed":
        # A few bytes that stand for millions of rows, or for a long text in each of them.
        if pa.types.is_string(table.schema.field(name).type):
            # The damage itself must not take the memory that is measured.
            long = pa.array([case["to"][:100] * 1000])
            packed = pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), long)
            table = table.set_column(index, name, packed)
        else:
            # Of few columns: the damage itself must not take the memory that is measured.
            few = [one for one in ("role", "worker", "t_ns") if one in table.column_names]
            table = table.select(dict.fromkeys([*few, name]))
            table = table.take(pa.array(np.zeros(2_000_000, np.int64)))
    elif how == "double":
        table = pa.concat_tables([table, table])
    elif how == "role":
        table = table.slice(0, max(1, size // 2))
    elif how == "version":
        metadata = dict(table.schema.metadata or {})
        table = table.replace_schema_metadata(metadata | {b"cgbench.schema_version": case["to"]})
    pq.write_table(table, path)
