"""Turns what was read from a spool into the bodies of appends. Arrays go out as the memory they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xxhash

from contexta.v1 import capture_pb2
from contexta_client.capture import spool_format as fmt

from .cursor import Cursor
from .follow import Ends, Rows, SpoolReader

MAX_ITEMS = 65_536
MAX_JOURNAL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Body:
    """One append's worth: items and where the reading stands behind them."""

    data: bytes
    count: int
    cursor: Cursor

    @property
    def checksum(self) -> int:
        return xxhash.xxh3_64_intdigest(self.data)


@dataclass(slots=True)
class Definitions:
    """What later items refer to, as entries, so that a daemon that lost the session can be told again."""

    session: bytes = b""
    scopes: dict[int, bytes] = field(default_factory=dict)
    keys: dict[int, bytes] = field(default_factory=dict)
    groups: dict[int, bytes] = field(default_factory=dict)

    def note(self, entry: bytes) -> None:
        """Remember an entry if it defines something. Peeks at the field number before it parses."""
        kind = entry[9] >> 3 if len(entry) > 9 and not entry[9] & 0x80 else 0
        if not 2 <= kind <= 6:
            return
        parsed = capture_pb2.Entry.FromString(entry)
        which = parsed.WhichOneof("kind")
        if which == "session_opened":
            self.session = entry
        elif which == "scope_opened":
            self.scopes[parsed.scope_opened.scope_id] = entry
        elif which == "scope_closed":
            self.scopes.pop(parsed.scope_closed.scope_id, None)
        elif which == "key_defined":
            self.keys[parsed.key_defined.key_id] = entry
        elif which == "group_defined":
            self.groups[parsed.group_defined.group_id] = entry

    def all(self) -> list[bytes]:
        """Return every entry, each before those that refer to it."""
        session = [self.session] if self.session else []
        return [*session, *self.scopes.values(), *self.keys.values(), *self.groups.values()]

    @property
    def own_open_scopes(self) -> int:
        """How many scopes are open that this session opened itself."""
        return sum(not capture_pb2.Entry.FromString(entry).scope_opened.inherited for entry in self.scopes.values())


def encode(entries: Sequence[bytes], rows: Sequence[Rows]) -> tuple[bytes, int]:
    """Return a serialized Batch and the number of its items."""
    batch = capture_pb2.RawBatch(entries=entries)
    count = len(entries)
    for part in rows:
        count += part.items
        if part.group == 0:
            batch.columns.add(
                time_ns=part.time_ns.tobytes(),
                value=part.value.tobytes(),
                step=part.step.tobytes(),
                series=part.scope.tobytes(),
            )
        else:
            batch.rows.add(
                group_id=part.group,
                time_ns=part.time_ns.tobytes(),
                step=part.step.tobytes(),
                scope_id=part.scope.tobytes(),
                value=np.ascontiguousarray(part.value.T).tobytes(),
            )
    return batch.SerializeToString(), count


class Batcher:
    """Reads one spool up to `ends`, batch by batch. `cursor` is where the reading stands."""

    def __init__(self, reader: SpoolReader, cursor: Cursor, definitions: Definitions) -> None:
        self.reader = reader
        self.cursor = cursor
        self.definitions = definitions
        self.damaged = 0

    def next(self, ends: Ends) -> Body | None:
        """Return the next batch before `ends`, or None when everything before was read."""
        cursor = self.cursor.copy()
        entries, cursor.journal, damaged = self.reader.take_journal(cursor.journal, MAX_JOURNAL_BYTES)
        self.damaged += damaged
        for entry in entries:
            self.definitions.note(entry)
        rows: list[Rows] = []
        if sum(map(len, entries)) < MAX_JOURNAL_BYTES:  # otherwise definitions may still come
            self._take_rows(rows, cursor, ends)
        if not entries and not rows:
            self.cursor = cursor
            return None
        data, count = encode(entries, rows)
        self.cursor = cursor
        return Body(data, count, cursor.copy())

    def _take_rows(self, rows: list[Rows], cursor: Cursor, ends: Ends) -> None:
        room = MAX_ITEMS
        if cursor.holes:
            found, cursor.holes = self.reader.take_holes(cursor.holes)
            rows += found
        for group, end in ends.series.items():
            at = cursor.series.get(group, (0, 0))
            width = self.width(group)
            while at < end and room > 0:
                part, following, holes = self.reader.take_rows(group, at, end, max(1, room // width))
                if holes:
                    if len(cursor.holes) + len(holes) > 128:
                        break  # come again when some are filled
                    cursor.holes += tuple(holes)
                if following == at:
                    break
                at = following
                if part is not None:
                    rows.append(part)
                    room -= part.items
            cursor.series[group] = at

    def journal_waits(self) -> bool:
        """Whether the journal holds a frame that was not read."""
        return bool(self.reader.take_journal(self.cursor.journal, 1)[0])

    def take_damaged(self) -> int:
        """Return how many frames or blocks could not be read since the last call."""
        damaged, self.damaged = self.damaged + self.reader.unreadable, 0
        self.reader.unreadable = 0
        return damaged

    def width(self, group: int) -> int:
        """Return how many values a row of a series has."""
        if group == 0:
            return 1
        numbers = self.reader.numbers(fmt.GROUP, group)
        block = self.reader.block(fmt.GROUP, group, min(numbers)) if numbers else None
        return block.header.values if block else 1
