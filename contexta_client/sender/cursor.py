"""Where the reading of one spool stands. Goes to the daemon with every batch, so that a sender that starts anew goes on
exactly behind the last batch that the daemon has. Drawn in docs/format/cursor.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

VERSION = 1
REASONS = ("spool_full", "disk_full", "too_large", "torn", "unreadable")  # of Dropped, in the order of the totals
MAX_HOLES = 128
_HEAD = struct.Struct("<BBHHIIII")  # version, flags, groups, holes, journal block, offset, rows block, index
_GROUP = struct.Struct("<HII")  # group, block, index
_HOLE = struct.Struct("<HII")  # group (0: rows), block, index
_TOTALS = struct.Struct(f"<{2 * len(REASONS)}Q")  # metrics and entries of each reason
_ENDED = 1


@dataclass(slots=True)
class Cursor:
    """Positions are (block number, index in it); `series` maps 0 to the rows' and a group id to the group's."""

    journal: tuple[int, int] = (0, 0)
    series: dict[int, tuple[int, int]] = field(default_factory=dict)
    holes: tuple[tuple[int, int, int], ...] = ()
    totals: tuple[int, ...] = (0,) * (2 * len(REASONS))
    ended: bool = False  # SessionEnded was sent

    def copy(self) -> Cursor:
        return Cursor(self.journal, dict(self.series), self.holes, self.totals, self.ended)

    def pack(self) -> bytes:
        """Return at most 4 KiB."""
        groups = [(group, *at) for group, at in sorted(self.series.items()) if group]
        rows = self.series.get(0, (0, 0))
        parts = [
            _HEAD.pack(VERSION, _ENDED if self.ended else 0, len(groups), len(self.holes), *self.journal, *rows),
            _TOTALS.pack(*self.totals),
        ]
        parts += [_GROUP.pack(*each) for each in groups]
        parts += [_HOLE.pack(*each) for each in self.holes]
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes) -> Cursor:
        """Read a cursor back; an empty one is the beginning. Raises ValueError."""
        if not data:
            return cls()
        try:
            version, flags, groups, holes, j_block, j_offset, r_block, r_index = _HEAD.unpack_from(data)
            if version != VERSION:
                raise ValueError(f"cursor version {version}; this program reads version {VERSION}")
            at = _HEAD.size
            totals = _TOTALS.unpack_from(data, at)
            at += _TOTALS.size
            series = {0: (r_block, r_index)}
            for _ in range(groups):
                group, block, index = _GROUP.unpack_from(data, at)
                series[group] = (block, index)
                at += _GROUP.size
            found = []
            for _ in range(holes):
                found.append(_HOLE.unpack_from(data, at))
                at += _HOLE.size
        except struct.error as error:
            raise ValueError(f"the cursor ends too early: {error}") from error
        return cls((j_block, j_offset), series, tuple(found), totals, bool(flags & _ENDED))
