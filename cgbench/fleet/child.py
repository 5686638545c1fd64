"""The process that becomes cgbench on a host of a fleet, and ends with whoever started it.

`python -m cgbench.fleet.child PARENT ARGUMENT...`; standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for a signal at the parent's death, and become cgbench."""
    parent, arguments = int(sys.argv[1]), sys.argv[2:]
    # It holds across execve(2): see PR_SET_PDEATHSIG(2const).
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        # It died before the kernel was asked.
        sys.exit(128 + signal.SIGTERM)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "cgbench", *arguments])


if __name__ == "__main__":
    main()
