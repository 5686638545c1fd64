"""Does a value survive pause, a container's restart, systemd's reload and the daemon's restart?"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cgbench.engine.connection import Answer
from cgbench.errors import EngineError, PreconditionError
from cgbench.measuring.idle.containers import Idle, Supply, words
from cgbench.measuring.site import Progress, Site, silent
from cgbench.records.idle_findings import Held, Stage, Survival
from cgbench.spec.option import Option
from cgbench.spec.options import update_body

_DAEMON_TIMEOUT_S = 60.0

StageName = Literal["pause", "restart", "daemon reload", "daemon restart"]

Restart = Callable[[], None]
"""Restarts the Docker daemon, and returns once it was asked to."""


def measure(one: Option, supply: Supply) -> Survival:
    """Set an option's example on a running container, then pause and restart that container."""
    engine = supply.site.engine
    with supply.fresh() as idle:
        survival, held = _set(one, idle, supply.site)
        if survival.refusal is not None:
            return survival
        supply.progress(f"{one.flag} {one.example}: pause")
        answers = [
            engine.tell(idle.container_id, "pause"),
            engine.tell(idle.container_id, "unpause"),
        ]
        paused = _stage("pause", one, idle, survival.born, held, answers)
        supply.progress(f"{one.flag} {one.example}: restart")
        answers = [engine.tell(idle.container_id, "restart")]
        restarted = _stage("restart", one, idle, survival.born, paused.after, answers)
    return survival.model_copy(update={"stages": (paused, restarted)})


def _set(one: Option, idle: Idle, site: Site) -> tuple[Survival, Held]:
    """Set the example; return a survival without stages yet, and what is held now."""
    born = idle.held(one)
    answer = site.engine.update_raw(
        idle.container_id, update_body({**one.beside, one.name: one.example})
    )
    survival = Survival(
        option=one.name,
        value=str(one.example),
        file=idle.file(one),
        born=born,
        refusal=None if answer.refusal is None else words(answer),
        stages=(),
    )
    return survival, idle.held(one)


def _stage(
    name: StageName,
    one: Option, idle: Idle, born: Held, before: Held, answers: Iterable[Answer],
) -> Stage:  # fmt: skip
    running = idle.find()
    after = idle.held(one)
    # Where the kernel has a file it decides; Docker's declaration only where there is none.
    kernel = born.enforced is not None
    start, was, now = (each.enforced if kernel else each.declared for each in (born, before, after))
    held = was != start
    return Stage(
        stage=name,
        before=before,
        after=after,
        survived=(running and now == was) if held else None,
        took_hold=running and not held and now != start,
        running=running,
        message="; ".join(filter(None, map(words, answers))),
    )


@dataclass
class _Kept:
    """A container with one option's example in force, and the stages it went through."""

    one: Option
    idle: Idle
    born: Held
    now: Held
    stages: tuple[Stage, ...] = ()

    def goes_through(self, name: StageName, answers: Iterable[Answer] = ()) -> None:
        """Read back after a stage."""
        stage = _stage(name, self.one, self.idle, self.born, self.now, answers)
        self.now, self.stages = stage.after, (*self.stages, stage)


def across_daemon_restart(
    options: Iterable[Option],
    site: Site,
    restart: Restart | None = None,
    reload: Callable[[], None] | None = None,
    progress: Progress = silent,
) -> dict[str, tuple[Stage, ...]]:
    """Set each option on a container of its own, restart the daemon once, and read back.

    Before that, `reload` has systemd read its units anew, and with them what it set on the scopes
    of containers; it is left out where only `restart` is given. The restart stops every container
    on the host unless the daemon keeps them alive (`live-restore`); one that was stopped is started
    again. `restart` defaults to `by_systemd`. Options that cannot be set are left out. Call it
    while no Supply is open: its containers would be stopped, too. Raises PreconditionError where
    the daemon cannot be restarted as it was started.
    """
    if restart is None:
        restart, reload = by_systemd(), systemd_reload
    with Supply(site, ahead=0, progress=progress) as supply:
        kept: list[_Kept] = []
        for one in options:
            idle = supply.take()
            survival, held = _set(one, idle, site)
            if survival.refusal is None:
                kept.append(_Kept(one, idle, survival.born, held))
        if reload is not None:
            supply.progress("systemd reads its units anew")
            reload()
            for each in kept:
                each.goes_through("daemon reload")
        supply.progress("the daemon restarts")
        restart()
        _await(site)
        for each in kept:
            stopped = not each.idle.find()
            engine, container = site.engine, each.idle.container_id
            answers = [engine.tell(container, "start")] if stopped else []
            each.goes_through("daemon restart", answers)
    return {each.one.name: each.stages for each in kept}


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
    execute: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run,
) -> None:
    """Have systemd read its units anew (`systemctl daemon-reload`), as installing packages does.

    Raises EngineError when it cannot.
    """
    done = execute(
        ["systemctl", "daemon-reload"], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        raise EngineError(f"systemctl daemon-reload failed: {done.stderr.strip()}")


def by_systemd(
    booted: Path = Path("/run/systemd/system"),
    execute: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run,
) -> Restart:
    """Return how to restart the daemon where systemd started it.

    Raises PreconditionError elsewhere: who started it is unknown then, and with which options.
    """
    advice = "Leave out --disturb-daemon; all other questions are answered without it."

    def systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        return execute(
            ["systemctl", *arguments], capture_output=True, text=True, check=False, timeout=120
        )

    # sd_booted(3): the directory is there if and only if systemd is this host's init.
    if not booted.is_dir():
        raise PreconditionError(
            "the Docker daemon was not started by systemd, so cgbench cannot start it again", advice
        )
    if systemctl("is-active", "--quiet", "docker.service").returncode != 0:
        raise PreconditionError(
            "systemd runs here, but the Docker daemon is not its docker.service", advice
        )

    def restart() -> None:
        done = systemctl("restart", "docker.service")
        if done.returncode != 0:
            raise EngineError(f"systemctl restart docker.service failed: {done.stderr.strip()}")

    return restart
