"""Which files to merge: neighbours of about one size, so that each metric is written again only a few times."""

from __future__ import annotations

from collections.abc import Sequence

FAN_IN = 8  # so many of one size become one of the next
MAX_ROWS = 16 << 20  # of a merged file
_SMALLEST_ROWS = 16_384  # files below are of one size


def next_merge(rows: Sequence[int]) -> tuple[int, int] | None:
    """Return the first and one past the last of the files to merge next, given the rows of each; None: there is none.

    Files of a size grow by FAN_IN, until a few of them fill MAX_ROWS.
    """
    for size in sorted({_size(count) for count in rows}):
        start = 0
        while start < len(rows):
            end, total = start, 0
            while end < len(rows) and _size(rows[end]) <= size and total + rows[end] <= MAX_ROWS:
                total += rows[end]
                end += 1
            if end - start >= FAN_IN or (end - start > 1 and 2 * total >= MAX_ROWS):
                return start, end
            start = max(end, start + 1)
    return None


def _size(rows: int) -> int:
    size = 0
    while rows >= _SMALLEST_ROWS * FAN_IN**size:
        size += 1
    return size
