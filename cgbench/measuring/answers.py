"""What the prober notes of requests, as its host reads it: why one failed, how long one waits."""

from __future__ import annotations

import errno
import os

import numpy as np

from cgbench.measuring.probe_checks import UNANSWERED, Integers

_OWN = {
    errno.ENODATA: "connection closed before a whole answer",
    errno.EPROTO: "malformed answer",
    errno.ETIMEDOUT: "no answer in time",
}


def reason(code: int) -> str | None:
    """Return the words of an errno, or of minus a status; None for 0, which is no failure.

    What no prober writes is said to be unknown: a container may write anything.
    """
    if code == 0:
        return None
    if -1000 < code < 0:
        return f"status {-code}"
    if code not in errno.errorcode:
        return "unknown"
    return _OWN.get(code) or os.strerror(code).lower()


def settled(
    begin_ns: Integers, length_ns: Integers, now_ns: int, timeout_ns: int
) -> tuple[Integers, int]:
    """Return the lengths of requests, 0 of those that failed, and how many of them still wait.

    Those have the time that they have waited so far; what waits for longer than the timeout failed.
    """
    waited = now_ns - begin_ns
    waits = (length_ns == UNANSWERED) & (waited < timeout_ns)
    found = np.where(waits, np.maximum(waited, 1), np.maximum(length_ns, 0))
    return found, int(np.count_nonzero(waits))
