"""Turns what was read from a spool into the bodies of appends: times, steps and values packed, see contexta.packing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

from contexta import packing
from contexta_client.capture.entry_encoding import varint

from .blocks import Rows
from .cursor import MAX_HOLES, Cursor, Hole
from .definitions import defines, parse
from .follow import Ends, SpoolReader

Piece = bytes | memoryview

MAX_ITEMS = 65_536
MAX_JOURNAL_BYTES = 1 << 20
HOLE_PATIENCE_S = 60.0  # a slot that stays empty so long in a block that was left will not be committed


@dataclass(frozen=True, slots=True)
class Body:
    """One append's worth: a serialized Batch, its items, where the reading stands behind them, and which entries of it
    later ones refer to."""

    data: bytes
    count: int
    cursor: Cursor
    defined: tuple[bytes, ...] = ()

    @property
    def checksum(self) -> int:
        return xxhash.xxh3_64_intdigest(self.data)


def encode(entries: Sequence[bytes], rows: Sequence[Rows]) -> tuple[bytes, int]:
    """Return a serialized Batch and the number of its items.

    Written by hand: one copy from the spool's memory to the body, where a message object would make three.
    """
    parts: list[bytes | memoryview] = []
    count = len(entries)
    for entry in entries:
        parts += (b"\x0a" + varint(len(entry)), entry)
    for part in rows:
        count += part.items
        inner = _columns(part) if part.group == 0 else _group_rows(part)
        parts.append((b"\x12" if part.group == 0 else b"\x1a") + varint(sum(map(len, inner))))
        parts += inner
    return b"".join(parts), count


def _columns(part: Rows) -> list[bytes | memoryview]:
    """A MetricColumns message, in pieces."""
    time_ns, step, value, layout = _packed(part, part.value)
    return [*_field(1, time_ns), *_field(2, value), *_field(3, step), *_field(4, _bytes(part.scope)), b"\x28", layout]


def _group_rows(part: Rows) -> list[bytes | memoryview]:
    """A MetricRows message, in pieces. On the wire stand all values of the first key, then all of the second."""
    head = b"\x08" + varint(part.group)
    time_ns, step, value, layout = _packed(part, np.ascontiguousarray(part.value.T))
    arrays = [*_field(2, time_ns), *_field(3, step), *_field(4, _bytes(part.scope)), *_field(5, value)]
    return [head, *arrays, b"\x30", layout]


def _packed(part: Rows, value: npt.NDArray[np.float64]) -> tuple[Piece, Piece, Piece, bytes]:
    """Return times, steps and values as they stand on the wire, and the layout that says how."""
    if len(part.time_ns) < packing.MIN_NUMBERS:
        return _bytes(part.time_ns), _bytes(part.step), _bytes(value), b"\x00"
    chosen = packing.value_layout(value)
    if chosen == packing.VALUE_STEADY:
        values: Piece = packing.steady_planes(value)
    else:
        values = packing.planes(value) if chosen == packing.VALUE_PLANES else _bytes(value)
    layout = varint(packing.STEADY | chosen)
    return packing.steady_planes(part.time_ns), packing.steady_planes(part.step), values, layout


def _bytes(array: npt.NDArray[np.generic]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _field(number: int, data: Piece) -> tuple[Piece, Piece]:
    return varint(number << 3 | 2) + varint(len(data)), data


class Batcher:
    """Reads one spool up to given ends, batch by batch. `cursor` is where the reading stands; `complete` tells whether
    the last batch reached the ends."""

    def __init__(self, reader: SpoolReader, cursor: Cursor) -> None:
        self.reader = reader
        self.cursor = cursor
        self.complete = False
        self._holes_since: dict[Hole, float] = {}

    def next(self, ends: Ends, now: float) -> Body | None:
        """Return the next batch before `ends`; None when there is nothing. now: a monotonic clock's, in seconds."""
        cursor = self.cursor.copy()
        journal = self.reader.take_journal(cursor.journal, MAX_JOURNAL_BYTES, final=ends.final)
        cursor.journal = journal.at
        cursor.unreadable += journal.damaged
        cursor.too_large += journal.too_large
        entries, defined = [], []
        for entry in journal.entries:
            if not defines(entry):
                entries.append(entry)
            elif _follow_scopes(entry, cursor):
                entries.append(entry)
                defined.append(entry)
            else:
                cursor.unreadable += 1
        rows: list[Rows] = []
        # Behind more entries a row's definition may still be to come, and a large entry leaves a body no room for rows.
        only_entries = journal.more or sum(map(len, entries)) > MAX_JOURNAL_BYTES
        self.complete = not only_entries and self._take_rows(rows, cursor, ends)
        self._give_up_holes(cursor, ends, now)
        self.cursor = cursor
        if not entries and not rows:
            return None
        data, count = encode(entries, rows)
        return Body(data, count, cursor.copy(), tuple(defined))

    def _take_rows(self, rows: list[Rows], cursor: Cursor, ends: Ends) -> bool:
        """Add rows up to the ends, or as many as a batch takes; return whether the ends were reached."""
        room = MAX_ITEMS
        if cursor.holes:
            found, cursor.holes, damaged = self.reader.take_holes(cursor.holes, limit=room)
            cursor.unreadable += damaged
            rows += found
            room -= sum(part.items for part in found)
            if room <= 0 and cursor.holes:
                return False
        for group, end in ends.series.items():
            at = cursor.series.get(group, (0, 0))
            while at < end:
                if room <= 0:
                    return False
                part = self.reader.take_rows(group, at, end, max(1, room // self.reader.width(group)))
                cursor.unreadable += part.damaged
                cursor.holes += part.holes
                if part.rows is not None:
                    rows.append(part.rows)
                    room -= part.rows.items
                if part.at == at:
                    break
                at = cursor.series[group] = part.at
        return True

    def _give_up_holes(self, cursor: Cursor, ends: Ends, now: float) -> None:
        """Count as torn what can never be committed: all holes of a dead writer, very old ones, and the oldest of too
        many to remember. While the ends are not reached, a hole may be filled and not looked at."""
        if not cursor.holes and not self._holes_since:
            return
        since = self._holes_since = {hole: self._holes_since.get(hole, now) for hole in cursor.holes}

        def hopeless(hole: Hole) -> bool:
            group, number, _ = hole
            is_old = now - since[hole] > HOLE_PATIENCE_S and number < ends.series.get(group, (0, 0))[0]
            return self.complete and (ends.final or is_old)

        kept = [hole for hole in cursor.holes if not hopeless(hole)][-MAX_HOLES:]
        cursor.torn += sum(self.reader.width(hole[0]) for hole in set(cursor.holes).difference(kept))
        cursor.holes = tuple(kept)


def _follow_scopes(entry: bytes, cursor: Cursor) -> bool:
    """Note in the cursor what a definition means for the session's end. Returns False for bytes that are no entry."""
    parsed = parse(entry)
    if parsed is None:
        return False
    kind = parsed.WhichOneof("kind")
    if kind == "session_opened":
        cursor.began = True
    elif kind == "scope_opened" and not parsed.scope_opened.inherited:
        cursor.open_scopes += 1
    elif kind == "scope_closed":
        cursor.open_scopes = max(0, cursor.open_scopes - 1)
    return True
