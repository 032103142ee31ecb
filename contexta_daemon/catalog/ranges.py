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


def holds_any(packed: bytes, ids: Collection[int]) -> bool:
    """Tell whether any of `ids` lies in the packed ranges."""
    if not packed or not ids:
        return False
    pairs = np.frombuffer(packed, "<u4").reshape(-1, 2).tolist()
    if len(pairs) * len(ids) <= 64:
        return any(first <= i <= last for first, last in pairs for i in ids)
    ordered = np.sort(np.fromiter(ids, dtype=np.int64, count=len(ids)))
    bounds = np.array(pairs, dtype=np.int64)
    return bool((np.searchsorted(ordered, bounds[:, 0]) < np.searchsorted(ordered, bounds[:, 1], side="right")).any())
