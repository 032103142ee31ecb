"""Where the reading of one spool stands.

It goes to the daemon with every batch, so that a sender that starts anew continues exactly behind the last batch that
the daemon has.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

VERSION = 1
MAX_BYTES = 4096
MAX_HOLES = 128
REASONS = ("spool_full", "disk_full", "too_large", "torn", "unreadable")  # of Dropped, in the order of `said`
Hole = tuple[int, int, int]  # group (0: single metrics), block, index

# version, flags, groups, holes, too large, own open scopes, journal block and offset, rows block and index, torn,
# unreadable
_HEAD = struct.Struct("<BBHHHIIIIIQQ")
_GROUP = struct.Struct("<III")  # group, block, index
_HOLE = struct.Struct("<III")
_SAID = struct.Struct(f"<{2 * len(REASONS)}Q")  # metrics and entries of each reason
_BEGAN, _ENDED = 1, 2


@dataclass(slots=True)
class Cursor:
    """Positions are (block number, index in it); `series` maps 0 to the single metrics and a group's id to its rows."""

    journal: tuple[int, int] = (0, 0)
    series: dict[int, tuple[int, int]] = field(default_factory=dict)
    holes: tuple[Hole, ...] = ()  # passed, and not committed when they were
    torn: int = 0  # metrics whose slot will never be committed
    unreadable: int = 0  # damaged frames, blocks and rows
    too_large: int = 0  # frames that no batch can carry: up to 65,535 are counted
    said: tuple[int, ...] = (0,) * (2 * len(REASONS))  # totals of the Dropped entries so far
    open_scopes: int = 0  # that the session opened itself
    began: bool = False  # SessionOpened was read
    ended: bool = False  # SessionEnded was sent

    def copy(self) -> Cursor:
        return replace(self, series=dict(self.series))

    @property
    def at_beginning(self) -> bool:
        return self == Cursor()

    def pack(self) -> bytes:
        """Return at most MAX_BYTES. Raises ValueError when there are more groups than fit."""
        groups = sorted((group, at) for group, at in self.series.items() if group)
        flags = (_BEGAN if self.began else 0) | (_ENDED if self.ended else 0)
        parts = [
            _HEAD.pack(
                VERSION, flags, len(groups), len(self.holes), min(self.too_large, 0xFFFF), self.open_scopes,
                *self.journal, *self.series.get(0, (0, 0)), self.torn, self.unreadable,
            ),
            _SAID.pack(*self.said),
        ]  # fmt: skip
        parts += [_GROUP.pack(group, *at) for group, at in groups]
        parts += [_HOLE.pack(*hole) for hole in self.holes]
        packed = b"".join(parts)
        if len(packed) > MAX_BYTES:
            raise ValueError(f"{len(groups)} groups are more than a cursor can hold")
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> Cursor:
        """Read a cursor back; an empty one is the beginning. Raises ValueError on anything that pack() did not make."""
        if not data:
            return cls()
        if data[0] != VERSION:
            raise ValueError(f"cursor version {data[0]}; this program reads version {VERSION}")
        try:
            _, flags, groups, holes, too_large, open_scopes, *places, torn, unreadable = _HEAD.unpack_from(data)
            at = _HEAD.size + _SAID.size
            end = at + groups * _GROUP.size
            if len(data) != end + holes * _HOLE.size:
                raise ValueError(f"a cursor of {groups} groups and {holes} holes does not have {len(data)} bytes")
            series = {0: (places[2], places[3])}
            series |= {group: (block, index) for group, block, index in _GROUP.iter_unpack(data[at:end])}
            return cls(
                journal=(places[0], places[1]),
                series=series,
                holes=tuple(_HOLE.iter_unpack(data[end:])),
                torn=torn,
                unreadable=unreadable,
                said=_SAID.unpack_from(data, _HEAD.size),
                too_large=too_large,
                open_scopes=open_scopes,
                began=bool(flags & _BEGAN),
                ended=bool(flags & _ENDED),
            )
        except struct.error as error:
            raise ValueError(f"not a cursor: {error}") from error
