"""Renew what the manual takes from the code: `python -m tests.docs`, and `rooms` for the picture.

Prints what changed; each file is written only if it did.
"""

from __future__ import annotations

import sys

from tests.docs import blocks, rooms


def main(what: str) -> None:
    """Renew everything, or with `rooms` the picture of the rooms alone."""
    changed = rooms.write()
    if what != "rooms":
        changed += blocks.write()
    for path in changed:
        print(f"renewed {path.relative_to(blocks.ROOT)}")
    against = rooms.against(rooms.arrows(), rooms.levels())
    if against:
        sys.exit(f"imports against the layers: {against}")


if __name__ == "__main__":
    main(*sys.argv[1:] or ("all",))
