"""Which group of a path is a container's own: engines name it by the container's identity."""

from __future__ import annotations

import re

_OF_SCOPE = re.compile("(?:[a-z-]+-)?")


def own_group(path: str, container_id: str) -> str | None:
    """Return the part of a group's path that ends with a container's own; None if it has none.

    That is named by the identity alone, or, where systemd makes it, as a scope. What lies below it
    was made inside of the container.
    """
    # Of most paths that is all there is to say.
    if container_id not in path:
        return None
    parts = path.split("/")
    for at, part in enumerate(parts):
        if _is_named(part, container_id):
            return "/".join(parts[: at + 1])
    return None


def _is_named(part: str, container_id: str) -> bool:
    scope = part.removesuffix(".scope")
    if scope == part or not scope.endswith(container_id):
        return part == container_id
    return _OF_SCOPE.fullmatch(scope[: len(scope) - len(container_id)]) is not None
