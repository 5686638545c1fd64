"""A daemon that goes away in a trial costs that trial and not the run: wait until it is back."""

from __future__ import annotations

import time

from cgbench.errors import CgbenchError, EngineError, NoAnswer
from cgbench.measuring.site import Site

PATIENCE_S = 60.0
"""How long a daemon may stay away; a restart takes seconds."""

_EVERY_S = 0.2


def wait_out(
    site: Site, error: EngineError, *, begun: bool, patience_s: float = PATIENCE_S
) -> None:
    """Return once the daemon answers again and no container of the run is left.

    Raises EngineError where it does not answer in time, and `error` itself where it refused
    something although it was there all the time, before the trial had `begun`: it will refuse the
    same in every other trial.
    """
    if not begun and not isinstance(error, NoAnswer) and _answers(site):
        raise error
    limit = time.monotonic() + patience_s
    while not _answers(site):
        if time.monotonic() > limit:
            raise EngineError(
                f"{first_reason(error)}; the daemon did not come back within {patience_s:g} s",
                "Start it again, then go on with: cgbench run --resume RUN.",
            ) from error
        time.sleep(_EVERY_S)
    # Those that could not be removed while it was away.
    for container_id in site.engine.leftovers(site.run):
        site.engine.remove(container_id)


def first_reason(error: BaseException) -> str:
    """Return why it all began: taking a trial down may fail as well, for the same reason."""
    reason = ""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, CgbenchError):
            reason = seen.message
        seen = seen.__context__
    return reason


def _answers(site: Site) -> bool:
    try:
        site.engine.describe()
    except EngineError:
        return False
    return True
