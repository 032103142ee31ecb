"""What was not kept, as entries: totals of each reason, said again whenever they have grown."""

from __future__ import annotations

from time import time_ns

from contexta_client.capture import spool_format as fmt
from contexta_client.capture.entry_encoding import encode_entry

from .blocks import Words
from .cursor import REASONS, Cursor


def dropped_entries(words: Words, cursor: Cursor) -> list[bytes]:
    """Return Dropped entries for the totals that differ from what the cursor says was said, and note them in it."""
    totals = _totals(words, cursor)
    entries = []
    for place, reason in enumerate(REASONS):
        metrics, count = totals[2 * place : 2 * place + 2]
        if (metrics, count) != cursor.said[2 * place : 2 * place + 2]:
            fields = {"reason": reason, "metrics_total": metrics, "entries_total": count}
            entries.append(encode_entry("dropped", time_ns(), fields))
    cursor.said = totals
    return entries


def dropped_by_reason(words: Words, cursor: Cursor) -> dict[str, int]:
    """Return how many records were not kept, for each reason that there is."""
    totals = _totals(words, cursor)
    counts = {reason: sum(totals[2 * place : 2 * place + 2]) for place, reason in enumerate(REASONS)}
    return {reason: count for reason, count in counts.items() if count}


def _totals(words: Words, cursor: Cursor) -> tuple[int, ...]:
    return (
        int(words[fmt.DROPPED_METRICS]), int(words[fmt.DROPPED_ENTRIES]),
        int(words[fmt.DROPPED_DISK_METRICS]), int(words[fmt.DROPPED_DISK_ENTRIES]),
        0, int(words[fmt.DROPPED_LARGE_ENTRIES]) + cursor.too_large,
        cursor.torn, 0,
        0, cursor.unreadable,
    )  # fmt: skip
