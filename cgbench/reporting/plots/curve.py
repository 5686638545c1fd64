"""A line of a plot: its points, and fewer of them with the extremes kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tsdownsample import MinMaxLTTBDownsampler

Floats = npt.NDArray[np.float64]

_FEWEST = 8


@dataclass(frozen=True)
class Curve:
    """Points of one line; `x` ascends, and both are equally long."""

    x: Floats
    y: Floats


def thinned(curve: Curve, points: int) -> Curve:
    """Return about `points` of a curve's points at most, the extremes among them."""
    wanted = max(_FEWEST, points)
    if len(curve.x) <= wanted:
        return curve
    downsampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]
    kept = downsampler.downsample(
        np.ascontiguousarray(curve.x), np.ascontiguousarray(curve.y), n_out=wanted
    )
    # Where a line is flat, tsdownsample 0.1.5 may choose a point twice.
    kept = np.unique(kept)
    return Curve(curve.x[kept], curve.y[kept])
