"""What a column of a trial's tables must hold to be read: numbers, counts, times in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

_LARGEST = 2**63 - 1
_MOST = {"worker": 4096}


def check_numbers(name: str, values: npt.NDArray[Any]) -> None:
    """Raise ArrowInvalid unless a column holds numbers, or nothing."""
    import pyarrow as pa

    if values.dtype.kind not in "iuf" and any(value is not None for value in values):
        raise pa.ArrowInvalid(f"column {name} holds something other than numbers")


def check_counts(name: str, values: npt.NDArray[Any]) -> None:
    """Raise ArrowInvalid unless a column holds what a counter or a clock shows.

    Workers are counted into as many places as the largest has: more than there can be would end
    in no memory, or worse.
    """
    import pyarrow as pa

    if not values.size:
        return
    if values.dtype.kind not in "iu":
        raise pa.ArrowInvalid(f"column {name} holds something other than whole numbers")
    if values.min() < 0 or values.max() > _MOST.get(name, _LARGEST):
        raise pa.ArrowInvalid(f"column {name} holds a number that no counter or clock shows")


def check_order(
    name: str, times: npt.NDArray[Any], workers: npt.NDArray[Any] | None = None
) -> None:
    """Raise ArrowInvalid unless times ascend, those of each worker by themselves."""
    import pyarrow as pa

    back = times[1:] < times[:-1]
    if workers is not None:
        back &= workers[1:] == workers[:-1]
    if back.any():
        raise pa.ArrowInvalid(f"the times in column {name} are not in order")
