"""The counters that the kernel keeps of a group, by one name for cgroup v1 and v2."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

USAGE_PER_CPU = "usage_per_cpu_ns"
"""The name of the one counter that has a value for each CPU, where the kernel keeps it."""


@dataclass(frozen=True)
class Counter:
    """One number the kernel keeps, under a name that is the same for v1 and v2.

    `column` is `file` or `file:key`; the value times `scale` is in the SI unit of `name`. A `*` in
    the key stands for anything: a CPU, or a device. `fast_with` is the controller whose options,
    when changed, make it worth reading at the fast rate; `*` is always. `of_device` is the key of
    one device, where the kernel keeps one for each, with `{}` for the device's number.
    """

    name: str
    controller: str
    file: str
    key: str | None
    scale: int
    fast_with: str
    of_device: str | None = None

    @property
    def column(self) -> str:
        """The kernel's own name for it."""
        return self.file if self.key is None else f"{self.file}:{self.key}"

    def column_of(self, device: str | None) -> str:
        """The kernel's own name for what one device did, or all of them where it is None.

        What is written to a loop device is charged once more to the disk that holds its file.
        """
        if device is None or self.of_device is None:
            return self.column
        return f"{self.file}:{self.of_device.format(device)}"

    def fast(self, changed: Collection[str]) -> bool:
        """Say whether it is read fast where options of the `changed` controllers are."""
        return self.fast_with == "*" or self.fast_with in changed


V1_COUNTERS = (
    Counter("usage_ns", "cpuacct", "cpuacct.usage", None, 1, "*"),
    Counter("periods", "cpu", "cpu.stat", "nr_periods", 1, "*"),
    Counter("throttled_periods", "cpu", "cpu.stat", "nr_throttled", 1, "*"),
    Counter("throttled_ns", "cpu", "cpu.stat", "throttled_time", 1, "*"),
    Counter(USAGE_PER_CPU, "cpuacct", "cpuacct.usage_percpu", "*", 1, "cpuset"),
    Counter("memory_bytes", "memory", "memory.usage_in_bytes", None, 1, "memory"),
    Counter("oom_kills", "memory", "memory.oom_control", "oom_kill", 1, "memory"),
    Counter("swap_bytes", "memory", "memory.stat", "swap", 1, ""),
    Counter("refaults", "memory", "memory.stat", "workingset_refault*", 1, ""),
    Counter("memory_swap_bytes", "memory", "memory.memsw.usage_in_bytes", None, 1, "memory"),
    Counter("tasks", "pids", "pids.current", None, 1, "pids"),
    Counter("io_bytes", "blkio", "blkio.bfq.io_service_bytes", "Total", 1, "io", "{}.Total"),
)
V2_COUNTERS = (
    Counter("usage_ns", "cpu", "cpu.stat", "usage_usec", 1000, "*"),
    Counter("periods", "cpu", "cpu.stat", "nr_periods", 1, "*"),
    Counter("throttled_periods", "cpu", "cpu.stat", "nr_throttled", 1, "*"),
    Counter("throttled_ns", "cpu", "cpu.stat", "throttled_usec", 1000, "*"),
    Counter("memory_bytes", "memory", "memory.current", None, 1, "memory"),
    Counter("oom_kills", "memory", "memory.events", "oom_kill", 1, "memory"),
    Counter("swap_bytes", "memory", "memory.swap.current", None, 1, "memory"),
    Counter("refaults", "memory", "memory.stat", "workingset_refault*", 1, ""),
    Counter("tasks", "pids", "pids.current", None, 1, "pids"),
    Counter("io_bytes", "io", "io.stat", "*bytes", 1, "io", "{}.*bytes"),
)
NODE_STAT = "memory.numa_stat"
"""The file of the memory controller that says how much memory lies on which node."""
ANON_PER_NODE = "anon_per_node_bytes"
"""The name of what is read there, where memory nodes are judged, as counters have one."""
ANON_PER_NODE_COLUMN = f"{NODE_STAT}:anon.N*"
"""Its columns: pages in v1, bytes in v2."""
PROCESS_STAT = "stat"
"""A process's file that says on which CPU it runs: what v2 has instead of usage by CPU."""
RUNNING_ON = "running_on"
"""The name of what is read there, as counters have one, and its column."""
RUNNING_ON_COLUMN = f"{PROCESS_STAT}:*.processor"
