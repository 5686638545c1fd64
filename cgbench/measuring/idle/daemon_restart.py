"""Does a value survive systemd's reload and a restart of the Docker daemon?"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cgbench import programs
from cgbench.engine.engine import Engine
from cgbench.errors import EngineError, PreconditionError
from cgbench.host import procfs
from cgbench.measuring.idle.containers import Supply
from cgbench.measuring.idle.survival import Kept, another_container, examples
from cgbench.measuring.site import Progress, Site, silent
from cgbench.records.idle_findings import Stage
from cgbench.spec.option import Option

_DAEMON_TIMEOUT_S = 60.0
_SYSTEMCTL_TIMEOUT_S = 120.0

Restart = Callable[[], None]
"""Restarts the Docker daemon, and returns once it was asked to."""

Execute = Callable[..., subprocess.CompletedProcess[str]]
"""Runs a command, as subprocess.run does."""


Stages = dict[str, tuple[tuple[Stage, ...], ...]]
"""What each value of an option went through: by option, in the order of `survival.examples`."""


def require_consent(engine: Engine, *, stop_containers: bool) -> None:
    """Raise PreconditionError where a restart of the daemon stops others' containers unasked."""
    stopped = [] if stop_containers else engine.stopped_by_a_restart()
    if stopped:
        more = f" and {len(stopped) - 3} more" if len(stopped) > 3 else ""
        raise PreconditionError(
            f"restarting Docker would stop {', '.join(stopped[:3])}{more}, since live-restore "
            "is off",
            "Leave out --disturb-daemon, enable live-restore, or allow it with --stop-containers.",
        )


def across_daemon_restart(
    options: Iterable[Option],
    site: Site,
    restart: Restart | None = None,
    reload: Callable[[], None] | None = None,
    progress: Progress = silent,
    *,
    stop_containers: bool = False,
) -> Stages:
    """Set each value on a container of its own, restart the daemon once, and read back.

    Before that, `reload` has systemd read its units anew, and with them what it set on the scopes
    of containers, and another container is started, with which it may apply them; both are left
    out where only `restart` is given. The restart stops every container
    on the host unless the daemon keeps them alive (`live-restore`); one of ours is started again,
    others are only where their restart policy says so. `restart` defaults to `by_systemd`. Values
    that cannot be set have no stages. Call it while no Supply is open: its containers would be
    stopped, too. Raises PreconditionError where the daemon cannot be restarted as it was started,
    or `stop_containers` does not allow what it would stop.
    """
    if restart is None:
        restart, reload = by_systemd(site.engine.endpoint.path), systemd_reload
    with Supply(site, ahead=0, progress=progress) as supply:
        kept = [
            Kept.set(one, settings, supply.take(), site)
            for one in options
            for settings in examples(one)
        ]
        going = [each for each in kept if each.survival.refusal is None]
        for each in going:
            each.settle()
        if reload is not None:
            supply.progress("systemd reads its units anew")
            reload()
            for each in going:
                each.goes_through("daemon reload")
            answers = another_container(supply)
            for each in going:
                each.goes_through("another container after a reload", answers)
        supply.progress("the daemon restarts")
        # Others may have started containers since the command was given.
        require_consent(site.engine, stop_containers=stop_containers)
        restart()
        _await(site)
        for each in going:
            stopped = not each.idle.find()
            engine, container = site.engine, each.idle.container_id
            answers = [engine.command(container, "start")] if stopped else []
            each.goes_through("daemon restart", answers)
    found: Stages = {}
    for each in kept:
        found[each.one.name] = (*found.get(each.one.name, ()), each.survival.stages)
    return found


def _await(site: Site) -> None:
    """Wait until the daemon answers. Raises EngineError when it does not in time."""
    limit = time.monotonic() + _DAEMON_TIMEOUT_S
    while True:
        try:
            site.engine.describe()
        except EngineError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.2)
        else:
            return


def systemd_reload(
    execute: Execute = subprocess.run,
) -> None:
    """Have systemd read its units anew (`systemctl daemon-reload`), as installing packages does.

    Raises EngineError when it cannot, or does not in time.
    """
    done = _systemctl(execute, "daemon-reload")
    if done.returncode != 0:
        raise EngineError(f"systemctl daemon-reload failed: {done.stderr.strip()}")


def by_systemd(
    socket: str,
    booted: Path = Path("/run/systemd/system"),
    execute: Execute = subprocess.run,
    proc: Path = procfs.PROC,
) -> Restart:
    """Return how to restart the daemon that listens at `socket` where systemd started it.

    Raises PreconditionError elsewhere: who started it is unknown then, and with which options.
    """
    advice = "Leave out --disturb-daemon; all other questions are answered without it."

    # sd_booted(3): the directory is there if and only if systemd is this host's init.
    if not booted.is_dir():
        raise PreconditionError(
            "the Docker daemon was not started by systemd, so cgbench cannot start it again", advice
        )
    if _systemctl(execute, "is-active", "--quiet", "docker.service").returncode != 0:
        raise PreconditionError(
            "systemd runs here, but the Docker daemon is not its docker.service", advice
        )
    shown = _systemctl(execute, "show", "--property=MainPID", "--value", "docker.service").stdout
    main = int(shown) if shown.strip().isdecimal() else 0
    if not main or not procfs.listens(main, socket, proc):
        raise PreconditionError(
            f"the daemon at {socket} is not the one of docker.service, which would be restarted",
            advice,
        )

    def restart() -> None:
        done = _systemctl(execute, "restart", "docker.service")
        if done.returncode != 0:
            raise EngineError(f"systemctl restart docker.service failed: {done.stderr.strip()}")

    return restart


def _systemctl(execute: Execute, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return execute(
            ["systemctl", *arguments],
            capture_output=True, text=True, check=False, timeout=_SYSTEMCTL_TIMEOUT_S,
            env=programs.environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise EngineError(
            f"systemctl {' '.join(arguments)} did not end within {_SYSTEMCTL_TIMEOUT_S:g} s",
            "Look at what it waits for: systemctl list-jobs.",
        ) from None
