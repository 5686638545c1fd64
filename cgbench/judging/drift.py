"""Do the trials of a side drift? A permutation test for autocorrelation in their order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cgbench.judging.intervals import MAD_TO_SIGMA

Floats = npt.NDArray[np.float64]

# Lags tested for autocorrelation of the trials, and how often the test shuffles them.
_LAGS = 4
_SHUFFLES = 999
# Deviations are clipped at this many (normal-consistent) median deviations.
_CLIP = 2.0


def p_drift(sides: Sequence[Floats], seed: int) -> float:
    """Return the p-value of a portmanteau test for autocorrelation at lags up to `_LAGS`.

    The statistic is the sum of products of deviations at these lags, over both sides; its
    distribution comes from shuffling the trials of each side.
    """
    seen, drawn = 0.0, np.zeros(_SHUFFLES)
    for number, side in enumerate(sides):
        off = _clipped(side)
        shuffled = off[_orders(len(off), seed + number)]
        for lag in range(1, min(_LAGS, len(off) - 1) + 1):
            seen += float((off[lag:] * off[:-lag]).sum())
            drawn += np.einsum("ij,ij->i", shuffled[:, lag:], shuffled[:, :-lag])
    return float((1 + (drawn >= seen * (1 - 1e-9)).sum()) / (1 + _SHUFFLES))


def _clipped(side: Floats) -> Floats:
    """Return deviations with a sum of zero, large ones clipped.

    One broken trial would hide that its neighbours drift: the test is about order, not size.
    """
    off = side - np.median(side)
    reach = _CLIP * MAD_TO_SIGMA * float(np.median(np.abs(off)))
    clipped: Floats = np.clip(off, -reach, reach) if reach > 0 else off
    clipped -= clipped.mean()
    return clipped


# Every metric of a comparison needs the same orders.
@lru_cache(maxsize=8)
def _orders(count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the orders in which a side's trials are shuffled, one per row."""
    orders: npt.NDArray[np.int64] = (
        np.random.default_rng(seed).random((_SHUFFLES, count)).argsort(axis=1)
    )
    return orders
