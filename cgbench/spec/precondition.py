"""What a host must offer for an experiment, or a step of it, to be measured."""

from __future__ import annotations

from enum import StrEnum


class Precondition(StrEnum):
    """What a host must offer; `host` checks it."""

    CPU_BANDWIDTH = "cpu-bandwidth"
    TWO_CPUS = "two-cpus"
    MEMORY_CONTROLLER = "memory-controller"
    SWAP = "swap"
    BFQ = "bfq"
    TWO_NODES = "two-nodes"
    REAL_TIME = "real-time"
