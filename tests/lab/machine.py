"""The lab's machine: QEMU booted from an untouched disk, reached over the loopback interface.

`python3 -m tests.lab.machine start [HOST]|list|stop|status|ssh COMMAND`. Every boot writes to an
overlay of its own, which `stop` removes. With $LAB_CLOCK=instructions the guest's clock counts what
it executed.
"""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import disks, qemu
from tests.lab import host as hosts
from tests.lab.disks import cache
from tests.lab.host import DEFAULT, LabError, LabHost

BOOT_TIMEOUT_S = 170.0
"""A boot takes 25 to 60 s where KVM cannot be used; later than this it has failed."""

_LOAD_TIMEOUT_S = 900.0
_POWEROFF_TIMEOUT_S = 180.0
_ANSWER_TIMEOUT_S = 30.0
_SETUP_TIMEOUT_S = 120.0
_COUNTED_TIMES = 5
"""How many times as long both may take where the clock counts instructions."""

_KEPT_LINES = 25
_SCRATCH_BYTES = 4 * 2**30
_SWAP_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Machine:
    """One machine: `disk` is what `build_disk` left, `state` what this boot needs and writes.

    Whether its clock counts instructions says $LAB_CLOCK.
    """

    disk: Path
    state: Path
    host: LabHost
    counted: bool = field(default_factory=qemu.counted)

    @property
    def console(self) -> Path:
        """What the guest's kernel and systemd printed."""
        return self.state / qemu.CONSOLE

    def pid(self) -> int | None:
        """Return the process of this machine's QEMU, None if it does not run.

        A pid that now belongs to another program is not taken for it.
        """
        try:
            pid = int((self.state / qemu.PID).read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self.state / qemu.PID) in command else None

    def ssh(
        self, command: str, timeout_s: float, *, shown: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command in the guest as root, whatever its exit status.

        What it prints is captured, or `shown` as it comes. Raises LabError when it takes longer
        than `timeout_s`.
        """
        arguments = [*self._ssh("ssh"), "-p", self._port(), "root@127.0.0.1", command]
        try:
            return subprocess.run(
                arguments, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False,
                capture_output=not shown,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise LabError(f"not done within {timeout_s:g} s in the lab: {command}") from None

    def read(self, command: str, timeout_s: float = 60.0) -> str:
        """Return what a shell command in the guest prints. Raises LabError if it fails."""
        done = self.ssh(command, timeout_s)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise LabError(f"in the lab, {command!r} ended with {done.returncode}: {said}")
        return done.stdout

    def fetch(self, source: str, into: Path, timeout_s: float = 120.0) -> None:
        """Copy a directory of the guest into the directory `into`."""
        into.mkdir(parents=True, exist_ok=True)
        command = [*self._ssh("scp"), "-P", self._port(), "-qr", f"root@127.0.0.1:{source}"]
        try:
            subprocess.run([*command, str(into)], check=True, timeout=timeout_s,
                           stdin=subprocess.DEVNULL)  # fmt: skip
        except subprocess.SubprocessError as error:
            raise LabError(f"{source} could not be copied out of the lab: {error}") from None

    def prepare(self, cargo: Path, layer: Path | None = None) -> None:
        """Make what it boots from: an overlay of its disk, or of a `layer` that lies over that.

        The files in the directory `cargo` are under /carried there.
        """
        if self.pid() is not None:
            raise LabError(f"it runs already (process {self.pid()}); make lab-stop ends it")
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        kind, below = ("raw", self.disk / "disk.img") if layer is None else ("qcow2", layer)
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", below,
             self.state / qemu.OVERLAY)  # fmt: skip
        scratch, swap, carried = (self.state / name for name in qemu.DISKS)
        for path, size in ((scratch, _SCRATCH_BYTES), (swap, _SWAP_BYTES)):
            with path.open("wb") as file:
                file.truncate(size)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", scratch)
        swap.chmod(0o600)
        _run("mkswap", swap)
        used = sum(path.stat().st_size for path in cargo.rglob("*") if path.is_file())
        with carried.open("wb") as file:
            file.truncate(2 * used + 256 * 2**20)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", "-d", cargo, carried)
        (self.state / "host").write_text(self.host.name)
        (self.state / "disk").write_text(str(self.disk))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            (self.state / "port").write_text(str(probe.getsockname()[1]))

    def boot(self) -> None:
        """Boot what was prepared, until Docker answers as the host has it.

        Raises LabError, with the console's last lines, when it does not in time.
        """
        times = _COUNTED_TIMES if self.counted else 1
        began = time.monotonic()
        errors = self.state / "qemu.log"
        with errors.open("wb") as log:
            try:
                # Its own session and no descriptor of ours: it outlives this process by design.
                subprocess.run(
                    self._qemu(), check=True, timeout=30, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, start_new_session=True,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError):
                raise LabError(f"QEMU did not start: {errors.read_text().strip()}") from None
        with self._ended_on_failure():
            self._await(began + times * BOOT_TIMEOUT_S)
            for command in self.host.commands:
                self.read(command, times * _SETUP_TIMEOUT_S)
            if self.host.is_changed:
                self._await(time.monotonic() + times * BOOT_TIMEOUT_S)

    def keep(self, layer: Path) -> None:
        """Load the image, switch it off, and keep what it wrote as `layer` over its disk."""
        with self._ended_on_failure():
            self.read(f"docker load --quiet --input /carried/{disks.IMAGE}", _LOAD_TIMEOUT_S)
            # The login ends before it can say how that went.
            self.ssh("systemctl poweroff", _ANSWER_TIMEOUT_S)
            limit = time.monotonic() + _POWEROFF_TIMEOUT_S
            while self.pid() is not None:
                if time.monotonic() > limit:
                    raise LabError(f"it was not switched off in time. {self.last_words()}")
                time.sleep(0.5)
            (self.state / qemu.OVERLAY).rename(layer)

    @contextmanager
    def _ended_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            # Also of an interrupt: QEMU is nobody's child.
            self.stop(keep_logs=True)
            raise

    def stop(self, *, keep_logs: bool = False) -> bool:
        """End the machine, wait until it has gone, remove its disks; say whether it ran.

        It is not shut down: nothing on the overlay is needed again.
        """
        pid = self.pid()
        if pid is not None:
            descriptor = os.pidfd_open(pid)
            try:
                for number in (signal.SIGTERM, signal.SIGKILL):
                    signal.pidfd_send_signal(descriptor, number)
                    if _ended(descriptor, 10.0):
                        break
                else:
                    raise LabError(f"QEMU (process {pid}) does not end")
            finally:
                os.close(descriptor)
        if keep_logs:
            for name in (qemu.OVERLAY, qemu.PID, *qemu.DISKS):
                (self.state / name).unlink(missing_ok=True)
        else:
            shutil.rmtree(self.state, ignore_errors=True)
        return pid is not None

    def _qemu(self) -> Sequence[str | Path]:
        return qemu.command(self.host, self.disk, self.state, self._port(), counted=self.counted)

    def _await(self, deadline: float) -> None:
        """Wait until ssh and then Docker answer in the guest."""
        step = "no login by ssh"
        limit_s = _ANSWER_TIMEOUT_S * (_COUNTED_TIMES if self.counted else 1)
        while time.monotonic() < deadline:
            if self.pid() is None:
                raise LabError(f"QEMU ended ({step} yet). {self.last_words()}")
            # A login that is cut off costs the guest as much as one that is not.
            if not self._greets():
                time.sleep(1.0)
                continue
            try:
                done = self.ssh("docker version --format '{{.Server.Version}}'", limit_s)
            except LabError:
                continue
            if done.returncode == 0:
                return
            # 255 is ssh's own failure (ssh(1)).
            if done.returncode != 255:
                step = f"ssh answers, Docker does not: {done.stderr.strip()}"
            time.sleep(1.0)
        raise LabError(f"not up in time: {step}. {self.last_words()}")

    def _greets(self) -> bool:
        """Say whether its server of ssh names itself to whoever connects."""
        try:
            with socket.create_connection(("127.0.0.1", int(self._port())), 5.0) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def last_words(self) -> str:
        """Return what the guest printed last."""
        try:
            lines = self.console.read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        if not lines:
            return "The guest printed nothing: its kernel did not start."
        reached = "systemd was started" if any("systemd[1]" in line for line in lines) else (
            "the kernel ran, systemd was not reached")  # fmt: skip
        quoted = "\n".join(f"  {line}" for line in lines[-_KEPT_LINES:])
        return f"On the console, {reached}. {self.console} ends:\n{quoted}"

    def _port(self) -> str:
        try:
            return (self.state / "port").read_text().strip()
        except OSError:
            raise LabError("the lab is not running; make lab boots it") from None

    def _ssh(self, program: str) -> list[str]:
        options = (
            "BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={self.disk / 'host_key'}", "HostKeyAlias=cgbench-lab",
            "ConnectTimeout=60", "ServerAliveInterval=15", "LogLevel=ERROR",
            # One login for all that is asked: in the guest it takes seconds of its CPU.
            "ControlMaster=auto", "ControlPersist=yes", f"ControlPath={self.state / 'ssh'}",
        )  # fmt: skip
        return [program, "-F", "none", "-i", str(self.disk / "key"),
                *(word for option in options for word in ("-o", option))]  # fmt: skip


def machine() -> Machine:
    """Return this user's one machine, as it was booted; the default host where none was."""
    state = cache() / "running"
    named, disk = state / "host", state / "disk"
    host = hosts.load(named.read_text() if named.exists() else DEFAULT)
    return Machine(
        Path(disk.read_text()) if disk.exists() else disks.cache() / disks.digest(host), state, host
    )


def booted(name: str = DEFAULT) -> Machine:
    """Boot the host called `name`, with its disk built and what it needs packed before."""
    qemu.require()
    host = hosts.load(name)
    running = machine().pid()
    if running is not None:
        raise LabError(f"a lab runs already (process {running}); make lab-stop ends it")
    return _booted(host, cache() / "running")


def beside(host: LabHost) -> Machine:
    """Boot a host beside others, in a folder of its own; whoever boots it has to stop it."""
    qemu.require()
    return _booted(host, cache() / f"beside-{host.name}")


def _booted(host: LabHost, state: Path) -> Machine:
    cache().mkdir(parents=True, exist_ok=True)
    # Disks, and what each guest is to get, are made in one place.
    with (cache() / "making").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # What cannot be had is said before a disk is built.
        cargo = disks.packed(host)
        found = Machine(disks.built(host), state, host)
        found.prepare(cargo, _stocked(host, found.disk, cargo))
    found.boot()
    return found


def _stocked(host: LabHost, disk: Path, cargo: Path) -> Path:
    """Return the layer over a disk that holds the workload image, which is made now if it is not
    there: in a guest that is changed in nothing, and whose clock is the host's.
    """
    layer = disks.stocked(disk, cargo)
    if not layer.exists():
        print("==> lab: a guest loads the workload image, once", file=sys.stderr, flush=True)
        for other in disk.glob(f"{disks.STOCKED}*"):
            other.unlink()
        found = Machine(disk, cache() / "stocking", host.unchanged, counted=False)
        found.prepare(cargo)
        found.boot()
        found.keep(layer)
        found.stop()
    return layer


def _run(*command: str | Path) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120,
                       env={**os.environ, "PATH": qemu.path()})  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise LabError(f"{command[0]} failed: {error.stderr.strip()}") from None


def _ended(descriptor: int, wait_s: float) -> bool:
    return bool(select.select([descriptor], [], [], wait_s)[0])


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for and return the exit status."""
    match list(arguments):
        case ["start", *names] if len(names) < 2:
            booted(*names)
            print("the lab is up; try: python3 -m tests.lab.machine ssh cgbench doctor")
        case ["list"]:
            for name in hosts.names():
                print(f"{name:18} {hosts.load(name).title}")
        case ["stop"]:
            print("the lab has ended" if machine().stop() else "no lab was running")
        case ["status"]:
            pid = machine().pid()
            print("no lab is running" if pid is None else f"the lab runs as process {pid}")
            return 0 if pid is not None else 1
        case ["ssh", *words] if words:
            command = words[0] if len(words) == 1 else shlex.join(words)
            return machine().ssh(command, 3600.0, shown=True).returncode
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        sys.exit(f"lab: {error}")
