"""The programs that run inside containers, as modules of this process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "workloads"


def inside(name: str) -> ModuleType:
    """Return a program of the workload image by its name, such as `prober`."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)
