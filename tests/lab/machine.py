"""The lab's machine: QEMU booted from an untouched disk, reached over the loopback interface.

Every boot writes to an overlay of its own, which `stop` removes.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import disks, qemu
from tests.lab.host import LabError, LabHost

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
# The same for every guest: one that goes on from another's memory has to find what that had.
_CARRIED_BYTES = 4 * 2**30
_MKFS = ("-q", "-F", "-E", "lazy_itable_init=1")


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

    def prepare(self, cargo: Path, layer: Path | None = None, saved: Path | None = None) -> None:
        """Make what it boots from: an overlay of its disk, or of a `layer` that lies over that.

        With the directory `saved`, of its disks as another guest left them. The files in the
        directory `cargo` are under /carried there.
        """
        if self.pid() is not None:
            raise LabError(f"it runs already (process {self.pid()}); make lab-stop ends it")
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        if saved is not None:
            layer = saved / qemu.OVERLAY
            for name in (qemu.SCRATCH, qemu.SWAP, qemu.CONSOLE):
                qemu.run("cp", "--sparse=always", saved / name, self.state / name)
        kind, below = ("raw", self.disk / "disk.img") if layer is None else ("qcow2", layer)
        qemu.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", below,
                 self.state / qemu.OVERLAY)  # fmt: skip
        if saved is None:
            self._fresh(qemu.SCRATCH, _SCRATCH_BYTES, "mkfs.ext4", *_MKFS)
            self._fresh(qemu.SWAP, _SWAP_BYTES, "mkswap")
        self._fresh(qemu.CARRIED, _CARRIED_BYTES, "mkfs.ext4", *_MKFS, "-d", cargo)
        (self.state / "host").write_text(self.host.name)
        (self.state / "disk").write_text(str(self.disk))
        self._take_port()

    def _take_port(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            (self.state / "port").write_text(str(probe.getsockname()[1]))

    def _fresh(self, name: str, size: int, *command: str | Path) -> None:
        path = self.state / name
        with path.open("wb") as file:
            file.truncate(size)
        path.chmod(0o600)
        qemu.run(*command, path)

    def boot(self, memory: Path | None = None) -> None:
        """Boot what was prepared, or go on from a file of `memory`, until Docker answers.

        Raises LabError, with the console's last lines, when it does not in time.
        """
        began = time.monotonic()
        self._start(memory)
        with self._ended_on_failure():
            self._await(began + self._times * BOOT_TIMEOUT_S)
            if memory is not None:
                # It has the memory of another guest: of its day, and of what is random there.
                self.read(
                    f"mount /carried; date -s @{time.time():.0f}; "
                    f"echo {secrets.token_hex(32)} >/dev/urandom", self._times * _ANSWER_TIMEOUT_S,
                )  # fmt: skip

    def suspend(self) -> None:
        """Stop it where it is and keep its memory with its disks: `resume` goes on from there."""
        with self._ended_on_failure():
            part = self.state / f"{qemu.MEMORY}.part"
            qemu.write_memory(self.state, part)
            self.stop(keep_logs=True, keep_disks=True)
            part.rename(self.state / qemu.MEMORY)

    @property
    def suspended(self) -> bool:
        """Whether it can go on from where it was stopped."""
        return self.pid() is None and (self.state / qemu.MEMORY).exists()

    def resume(self) -> None:
        """Go on from where it was suspended; its clock knows nothing of the pause.

        Raises LabError when it does not. It is left as it is then, and when this is interrupted.
        """
        memory = self.state / qemu.MEMORY
        began = time.monotonic()
        self._take_port()
        self._start(memory)
        # QEMU has it open. From now on the disks say something else.
        memory.unlink()
        self._await(began + self._times * BOOT_TIMEOUT_S)

    def _start(self, memory: Path | None) -> None:
        errors = self.state / "qemu.log"
        command = [*self._qemu(), *(["-incoming", f"file:{memory}"] if memory else [])]
        with errors.open("wb") as log:
            try:
                # Its own session and no descriptor of ours: it outlives this process by design.
                subprocess.run(
                    command, check=True, timeout=30, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, start_new_session=True,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError):
                raise LabError(f"QEMU did not start: {errors.read_text().strip()}") from None

    def set_up(self) -> None:
        """Make it what its host is beyond a boot. Raises LabError when that fails."""
        with self._ended_on_failure():
            for command in self.host.commands:
                self.read(command, self._times * _SETUP_TIMEOUT_S)
            if self.host.is_changed:
                self._await(time.monotonic() + self._times * BOOT_TIMEOUT_S)

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

    def save(self, into: Path) -> None:
        """Keep its memory and its disks in the directory `into`, and end it."""
        with self._ended_on_failure():
            # Each guest gets files of its own there.
            self.read("umount /carried && blockdev --flushbufs /dev/vdd && sync",
                      self._times * _ANSWER_TIMEOUT_S)  # fmt: skip
            qemu.write_memory(self.state, into / qemu.MEMORY)
            self.stop(keep_logs=True, keep_disks=True)
            for name in (qemu.OVERLAY, qemu.SCRATCH, qemu.SWAP, qemu.CONSOLE):
                (self.state / name).rename(into / name)
        shutil.rmtree(self.state)

    @property
    def _times(self) -> int:
        """How many times as long everything may take."""
        return _COUNTED_TIMES if self.counted else 1

    @contextmanager
    def _ended_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            # Also of an interrupt: QEMU is nobody's child.
            self.stop(keep_logs=True)
            raise

    def stop(self, *, keep_logs: bool = False, keep_disks: bool = False) -> bool:
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
            for name in () if keep_disks else (
                qemu.OVERLAY, qemu.PID, qemu.MEMORY, *qemu.DISKS
            ):  # fmt: skip
                (self.state / name).unlink(missing_ok=True)
        else:
            shutil.rmtree(self.state, ignore_errors=True)
        return pid is not None

    def _qemu(self) -> Sequence[str | Path]:
        return qemu.command(self.host, self.disk, self.state, self._port(), counted=self.counted)

    def _await(self, deadline: float) -> None:
        """Wait until ssh and then Docker answer in the guest."""
        step = "no login by ssh"
        limit_s = self._times * _ANSWER_TIMEOUT_S
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


def _ended(descriptor: int, wait_s: float) -> bool:
    return bool(select.select([descriptor], [], [], wait_s)[0])
