"""How large the parts of the house are, and how often a page opens a file: `make house`.

Nothing here depends on speed. Exit status 1 if a bar was missed.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figure import Figure, at_most

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cgbench"
UNTYPED = ("dict[str, Any]", "Mapping[str, Any]")
LONGEST_FUNCTION = 60

# In a process of its own: an audit hook cannot be taken away again. Arrow opens files past Python,
# so its readers are counted as well.
_OPENS = """
import collections, sys
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
from tests.made.run_builder import MadeUp, build
from cgbench.cli.app import main

directory = build(Path(sys.argv[1]), MadeUp(trials=2))
opened = collections.Counter()

def count(path):
    if isinstance(path, (str, Path)):
        opened[Path(path).name] += 1

sys.addaudithook(lambda event, args: event == "open" and count(args[0]))
for module, names in (
    (pq, ("ParquetFile", "read_table", "read_schema", "read_metadata")),
    (pa, ("OSFile", "memory_map")),
):
    for name in names:
        def counted(path, *args, _original=getattr(module, name), **named):
            count(path)
            return _original(path, *args, **named)
        setattr(module, name, counted)
sys.argv = ["cgbench", "report", str(directory.path), "-o", sys.argv[1] + "/page.html"]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
most = max((opened[name], name) for name in opened if name.startswith("trial-"))
print(*(opened[name] for name in ("run.json", "trials.jsonl", "phases.parquet")), most[0])
"""


@dataclass(frozen=True)
class Function:
    """A function or method: where it stands, how long it is, and the types it names."""

    module: str
    name: str
    lines: int
    types: str

    @property
    def room(self) -> str:
        """The package it lies in, its own module for those on the ground."""
        return self.module.split(".")[1]

    @property
    def public(self) -> bool:
        """Whether another package may call it."""
        return not any(part.startswith("_") for part in self.name.split("."))


def sources() -> dict[str, ast.Module]:
    """Return the syntax tree of every module of the package, by dotted name."""
    return {
        ".".join(("cgbench", *path.relative_to(PACKAGE).with_suffix("").parts)): ast.parse(
            path.read_text()
        )
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def module_lines() -> dict[str, int]:
    """Return how many lines each module has, without the `__init__.py` of one sentence."""
    return {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines())
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    }


def functions() -> Iterator[Function]:
    """Yield every function and method of the package."""
    for module, tree in sources().items():
        classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        owners: list[ast.Module | ast.ClassDef] = [tree, *classes]
        for owner in owners:
            prefix = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
            for node in owner.body:
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                named = [one.annotation for one in ast.walk(node.args) if isinstance(one, ast.arg)]
                types = [ast.unparse(one) for one in (*named, node.returns) if one is not None]
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                yield Function(module, prefix + node.name, lines, " ".join(types))


def _used() -> dict[str, set[str]]:
    """Return which packages name what: functions as `module.name`, methods as `.name`."""
    used: dict[str, set[str]] = {}
    for module, tree in sources().items():
        room = module.split(".")[1]
        modules: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for one in node.names:
                    modules[one.asname or one.name] = f"{node.module}.{one.name}"
                    used.setdefault(f"{node.module}.{one.name}", set()).add(room)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                used.setdefault(f".{node.attr}", set()).add(room)
                if isinstance(node.value, ast.Name) and node.value.id in modules:
                    used.setdefault(f"{modules[node.value.id]}.{node.attr}", set()).add(room)
    return used


def _elsewhere(one: Function, used: Mapping[str, set[str]]) -> set[str]:
    """Return the other packages that use a function, or a method of a class that they import."""
    owner, _, method = one.name.rpartition(".")
    found = used.get(f"{one.module}.{owner or one.name}", set())
    return (found & used.get(f".{method}", set()) if owner else found) - {one.room}


def crossing_untyped() -> list[str]:
    """Return the public functions whose untyped mappings are used in another package.

    Documents that are read or printed as JSON are untyped on purpose.
    """
    used = _used()
    return [
        f"{one.module}.{one.name}"
        for one in functions()
        if one.public
        and any(untyped in one.types for untyped in UNTYPED)
        and one.name.split(".")[-1] not in ("to_json", "from_json", "json_schema")
        and _elsewhere(one, used)
    ]


def layers() -> int:
    """Return how many layers the import contract is written in."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (one,) = [one for one in contracts["contracts"] if one["type"] == "layers"]
    assert one["exhaustive"], "a module that no contract knows would not be noticed"
    return len(one["layers"])


def outside() -> list[str]:
    """Return the modules that lie outside of the rooms and are not of the ground."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (one,) = [one for one in contracts["contracts"] if one["type"] == "layers"]
    ground = {f"{name}.py" for name in one["layers"][-1].split(" : ")}
    return [name for name in module_lines() if "/" not in name and name not in ground]


def opens_for_a_page() -> tuple[int, ...]:
    """Return how often a page opens run.json, trials.jsonl, phases.parquet, a file of samples."""
    with tempfile.TemporaryDirectory(prefix="house-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", _OPENS, folder],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
    return tuple(int(word) for word in done.stdout.splitlines()[-1].split())


def figures() -> Iterator[Figure]:
    """Yield every figure of the house beside its bar."""
    sizes = module_lines()
    longest = max(sizes, key=lambda name: sizes[name])
    yield at_most("modules: median lines", 150, statistics.median(sizes.values()), digits=0)
    yield at_most(f"  most lines ({longest})", 400, sizes[longest], digits=0)
    long = [one for one in functions() if one.lines > LONGEST_FUNCTION]
    yield at_most(f"functions over {LONGEST_FUNCTION} lines", 0, len(long), digits=0)
    yield at_most("layers written by hand", 9, layers(), digits=0)
    yield at_most("modules outside of rooms and ground", 0, len(outside()), digits=0)
    yield at_most("untyped mappings across a border", 0, len(crossing_untyped()), digits=0)
    for name, opens in zip(
        ("run.json", "trials.jsonl", "phases.parquet", "a file of samples"),
        opens_for_a_page(),
        strict=True,
    ):
        yield at_most(f"opens of {name} for one page", 1, opens, digits=0)
    readme = (ROOT / "README.md").read_text()
    yield at_most("README: lines", 200, len(readme.splitlines()), digits=0)
    yield at_most("README: words", 900, len(readme.split()), digits=0)


def main() -> int:
    """Print the figures, and with --list what lies behind those that were missed."""
    parser = argparse.ArgumentParser(prog="tests.bench.house", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name what is over its bar")
    wanted = parser.parse_args()
    print(f"{'figure':<46} {'bar':>9} {'reached':>12}  verdict")
    found = list(figures())
    for figure in found:
        print(figure.line())
    if wanted.list:
        for name, lines in module_lines().items():
            if lines > 400:
                print(f"{name}: {lines} lines")
        for one in functions():
            if one.lines > LONGEST_FUNCTION:
                print(f"{one.module}.{one.name}: {one.lines} lines")
        for name in crossing_untyped():
            print(f"{name}: an untyped mapping crosses a border")
    missed = sum(figure.met is False for figure in found)
    print(f"{len(found) - missed} of {len(found)} figures within their bars")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
