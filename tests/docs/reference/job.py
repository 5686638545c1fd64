"""The inputs and outputs of the GitHub action, from action.yml."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.docs.reference.markdown import code, table

_ACTION = Path(__file__).parents[3] / "action.yml"


def inputs() -> str:
    """Return a table of the action's inputs."""
    action = yaml.safe_load(_ACTION.read_text())
    return table(
        ("input", "default", "what it does"),
        [
            (
                code(name),
                code(one.get("default", "")) or ("required" if one.get("required") else "–"),
                " ".join(one["description"].split()),
            )
            for name, one in action["inputs"].items()
        ],
    )
