"""Sets of ids as ranges: what a batch holds, small enough to keep for every batch of the log."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt


def pack_ids(ids: npt.NDArray[np.uint32]) -> bytes:
    """Return pairs (first, last) of uint32, both included, for sorted distinct ids."""
    if not len(ids):
        return b""
    breaks = np.flatnonzero(np.diff(ids.astype(np.int64)) != 1)
    firsts = ids[np.concatenate(([0], breaks + 1))]
    lasts = ids[np.concatenate((breaks, [len(ids) - 1]))]
    return np.stack((firsts, lasts), axis=1).astype("<u4").tobytes()


class IdSet:
    """A set of ids to look for in many packed ones."""

    def __init__(self, ids: Collection[int]) -> None:
        self._ordered = np.sort(np.fromiter(ids, dtype=np.int64, count=len(ids)))
        self._few = self._ordered.tolist() if len(ids) <= 8 else None

    def in_ranges(self, packed: bytes) -> bool:
        """Tell whether any of the ids lies in the packed ranges."""
        bounds = np.frombuffer(packed, "<u4").reshape(-1, 2)
        if self._few is not None and len(bounds) <= 4:
            return any(first <= each <= last for first, last in bounds.tolist() for each in self._few)
        below_first = np.searchsorted(self._ordered, bounds[:, 0])
        return bool((below_first < np.searchsorted(self._ordered, bounds[:, 1], side="right")).any())


def holds_any(packed: bytes, ids: Collection[int]) -> bool:
    """Tell whether any of `ids` lies in the packed ranges."""
    return IdSet(ids).in_ranges(packed)
