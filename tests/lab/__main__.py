"""The lab from the command line: `python3 -m tests.lab start [HOST]|list|stop|status|ssh COMMAND`.

With $LAB_CLOCK=instructions the guest's clock counts what it executed.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from tests.lab import guests
from tests.lab import host as hosts
from tests.lab.host import LabError


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for and return the exit status."""
    match list(arguments):
        case ["start", *names] if len(names) < 2:
            guests.booted(*names)
            print("the lab is up; try: python3 -m tests.lab ssh cgbench doctor")
        case ["list"]:
            for name in hosts.names():
                print(f"{name:18} {hosts.load(name).title}")
        case ["stop"]:
            print("the lab has ended" if guests.machine().stop() else "no lab was running")
        case ["status"]:
            pid = guests.machine().pid()
            print("no lab is running" if pid is None else f"the lab runs as process {pid}")
            return 0 if pid is not None else 1
        case ["ssh", *words] if words:
            command = words[0] if len(words) == 1 else shlex.join(words)
            return guests.machine().ssh(command, 3600.0, shown=True).returncode
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        sys.exit(f"lab: {error}")
