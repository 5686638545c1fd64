"""The labels of every container that cgbench starts."""

from __future__ import annotations

LABEL = "cgbench.run"
"""Its run's name; `cgbench clean` finds it by that."""

OWNER = "cgbench.owner"
"""The process that made it, lest another removes it."""
