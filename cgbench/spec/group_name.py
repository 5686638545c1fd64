"""Which group of a path is a container's own: engines name it by the container's identity."""

from __future__ import annotations

import re


def own_group(path: str, container_id: str) -> str | None:
    """Return the part of a group's path that ends with a container's own; None if it has none.

    That is named by the identity alone, or, where systemd makes it, as a scope. What lies below it
    was made inside of the container.
    """
    own = re.escape(container_id)
    named = re.compile(rf"(?:[a-z-]+-)?{own}\.scope|{own}")
    parts = path.split("/")
    for at, part in enumerate(parts):
        if named.fullmatch(part):
            return "/".join(parts[: at + 1])
    return None
