"""A long series as few points that look the same: nothing that stands out is lost.

Kept are the first and the last point, the minimum and the maximum of each bucket (so those of the whole, too), and of
each bucket with a NaN or an infinity the first of these. Buckets are runs of points of equal number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ValidationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK_POINTS = 1 << 20  # looked at together, so that a series of any length takes a few tens of megabytes


def downsample(values: NDArray[np.float64], max_points: int) -> NDArray[np.int64]:
    """Return the indices to keep, ascending: all when there are at most max_points, else at most max_points.

    With fewer than 5 places, they are given in this order: first, last, minimum, maximum, first non-finite.
    """
    import numpy as np

    if max_points < 1:
        raise ValidationError(
            f"max_points cannot be {max_points}; it takes 1 or more, or nothing for all points.",
            code="query_invalid",
            details={"field": "max_points", "value": max_points},
        )
    total = len(values)
    if total <= max_points:
        return np.arange(total, dtype=np.int64)
    room = max_points - 2  # besides the first and the last
    buckets = room // 2
    while buckets >= 1:
        kept = _keep(values, buckets)
        if len(kept) <= max_points:
            return kept
        # Some buckets keep a third point. Make room for as many; a bucket never keeps more than three.
        excess = len(kept) - max_points
        buckets = max(min(buckets - 1, buckets - (excess + 1) // 2), room // 3)
    return np.sort(_most_telling(values)[:max_points])


def _keep(values: NDArray[np.float64], buckets: int) -> NDArray[np.int64]:
    """Return first, last and each bucket's telling points. At most three a bucket, and two more."""
    import numpy as np

    total = len(values)
    width = -(-total // buckets)
    step = max(1, CHUNK_POINTS // width) * width  # whole buckets
    inner = [_of_buckets(values[start : start + step], width) + start for start in range(0, total, step)]
    return np.unique(np.concatenate([np.array([0, total - 1], dtype=np.int64), *inner]))


def _of_buckets(values: NDArray[np.float64], width: int) -> NDArray[np.int64]:
    """Return the index of each bucket's minimum and maximum, and of its first value that is not finite."""
    import numpy as np

    finite = np.isfinite(values)
    if finite.all():
        table = _table(values, width)
        offsets = np.arange(len(table), dtype=np.int64) * width
        return np.concatenate([offsets + table.argmin(axis=1), offsets + table.argmax(axis=1)])
    lowest = _table(np.where(finite, values, np.inf), width).argmin(axis=1)
    highest = _table(np.where(finite, values, -np.inf), width).argmax(axis=1)
    odd = _table(~finite, width)
    offsets = np.arange(len(odd), dtype=np.int64) * width
    usable, has_odd = ~odd.all(axis=1), odd.any(axis=1)
    kept = [(offsets + lowest)[usable], (offsets + highest)[usable], (offsets + odd.argmax(axis=1))[has_odd]]
    return np.concatenate(kept)


def _table(values: NDArray[Any], width: int) -> NDArray[Any]:
    """Return values as a row for each bucket. The last row is filled up with the last value, which argmin and argmax
    never choose, because they take the first of equals."""
    import numpy as np

    missing = -len(values) % width
    if missing:
        values = np.concatenate([values, np.full(missing, values[-1])])
    return values.reshape(-1, width)


def _most_telling(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the few points that matter most, in the order of how much."""
    import numpy as np

    whole = _of_buckets(values, len(values))
    ranked = dict.fromkeys([0, len(values) - 1, *whole.tolist()])
    return np.array(list(ranked), dtype=np.int64)
