"""The bytes of a spool: what the training process writes and the sender reads. Drawn in docs/format/spool.md.

A spool is one folder, owned by one capturing process:

    header              one page: who writes, how far the sender is, what was dropped
    lock                locked by the owner for as long as it lives
    rows-<n>            blocks of single metrics, as columns
    group<g>-<n>        blocks of `log()` rows, one series of blocks for each recurring set of keys
    journal-<n>         blocks of length-prefixed frames, each one serialized contexta.v1.Entry

Block numbers count from 0 in each series. All integers are little-endian. This module does no I/O.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

VERSION = 1
HEADER_NAME = "header"
LOCK_NAME = "lock"  # empty; its owner holds a POSIX record lock on it for its life, and nobody else may open it there

# --- header ---------------------------------------------------------------------------------------------------------
# Every counter is one aligned 64-bit word with one writer, so that the other side can read it at any time.

HEADER_MAGIC = b"CTXSPOOL"
HEADER_BYTES = 4096
HEADER_PREFIX = struct.Struct("<8sII16sQ")  # magic, version, header bytes, session id, pid

# Written by the capturing process: index of the 64-bit word in the header.
WRITER_STATE = 8        # OPEN, ENDED
CREATED_NS = 9          # wall clock
FLUSH_REQUESTED = 10    # counts flush() calls: all that was committed before it shall be durable
SETTLE_REQUESTED = 11   # likewise: durable, and its lines in the JSON Lines files
CREATED_BYTES = 12      # bytes of blocks created so far
DROPPED_METRICS = 13    # because the spool was at its bound
DROPPED_ENTRIES = 14
DROPPED_DISK_METRICS = 15  # because storage had no room or failed
DROPPED_DISK_ENTRIES = 16
DROPPED_LARGE_ENTRIES = 17  # larger than a frame may be
VOIDED_METRICS = 18     # begun and abandoned by an exception: the call did not return

# Written by the sender.
HEARTBEAT_NS = 32       # CLOCK_MONOTONIC of the sender's last look
SENDER_PID = 33
FLUSH_DONE = 34         # the highest FLUSH_REQUESTED that is answered
SETTLE_DONE = 35
RELEASED_BYTES = 36     # bytes of blocks that the sender deleted or moved to disk
DELIVERY_STATE = 37     # one of DELIVERY
DURABLE_ITEMS = 38      # acknowledged by the daemon
DRAINED = 39            # 1: everything is durable and the writer is gone; only the folder is left to delete
TROUBLE_OFFSET = 1024   # length (u32) and UTF-8 text: what keeps the sender from delivering, for people
TROUBLE_BYTES = 1024

WORDS = HEADER_BYTES // 8
OPEN, ENDED = 1, 2
STARTING, DELIVERING, UNREACHABLE, PUSHED_BACK = 0, 1, 2, 3  # DELIVERY_STATE

# --- blocks ---------------------------------------------------------------------------------------------------------

BLOCK_MAGIC = b"CTXBLOCK"
BLOCK_HEADER = struct.Struct("<8sIIIIQQ")  # magic, version, kind, group id, values a row, number, capacity
BLOCK_HEADER_BYTES = 64
ROWS, GROUP, JOURNAL = 1, 2, 3  # kind
_LAST_NUMBER = 0xFFFF_FFFE  # of a block or a group; one more fits into 32 bits too

NO_STEP = 0
ROW_BYTES = 32  # value, series, step, time: four columns of 8 bytes


def encode_step(step: int) -> int:
    """Map a step to its stored form: 0 means no step, so that unwritten memory already says so."""
    return step + 1 if step >= 0 else step


# A rows block of capacity n: header, then the columns value f64[n], series u64[n] (scope id << 32 | key id), step
# i64[n], time i64[n]. A row is committed when its time is not 0; time -1 marks a row that was abandoned.
VOID_TIME = -1


def rows_block_bytes(capacity: int) -> int:
    return BLOCK_HEADER_BYTES + capacity * ROW_BYTES


# A group block of capacity n with k values a row: header, then n rows of f64[k], step i64, scope id u64, time i64,
# committed like the rows above.


def group_row_bytes(values: int) -> int:
    return 8 * (values + 3)


def group_block_bytes(capacity: int, values: int) -> int:
    return BLOCK_HEADER_BYTES + capacity * group_row_bytes(values)


def group_row(values: int) -> struct.Struct:
    """The layout of one `log()` row; fields are stored in this order, the committing time last."""
    return struct.Struct(f"<{values}dqQq")


# A journal block of capacity n bytes: header, then frames: length u32, crc32 of the body u32, body, padding to 8 bytes.
# A frame is committed when its length is not 0. The length's top bit marks an abandoned frame to skip; END_OF_BLOCK
# says that the journal goes on in the next block.
FRAME_HEADER = struct.Struct("<II")
FRAME_HEADER_BYTES = 8
FRAME_VOID = 0x8000_0000
END_OF_BLOCK = 0xFFFF_FFFF
MAX_FRAME_BYTES = 16 << 20


def frame_bytes(body: int) -> int:
    """Bytes that a frame of a body of `body` bytes takes in its block."""
    return FRAME_HEADER_BYTES + (body + 7 & ~7)


def journal_block_bytes(capacity: int) -> int:
    return BLOCK_HEADER_BYTES + capacity


def block_name(kind: int, number: int, group: int = 0) -> str:
    """The file name of a block."""
    return {ROWS: "rows", GROUP: f"group{group}", JOURNAL: "journal"}[kind] + f"-{number}"


def parse_block_name(name: str) -> tuple[int, int, int] | None:
    """Return (kind, group, number), or None for a name that is no block's."""
    series, _, number = name.rpartition("-")
    if not number.isascii() or not number.isdigit() or int(number) > _LAST_NUMBER:
        return None
    if series == "rows":
        return ROWS, 0, int(number)
    if series == "journal":
        return JOURNAL, 0, int(number)
    group = series.removeprefix("group")
    if series.startswith("group") and group.isascii() and group.isdigit() and 0 < int(group) <= _LAST_NUMBER:
        return GROUP, int(group), int(number)
    return None


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """What a block says of itself."""

    kind: int
    group: int
    values: int
    number: int
    capacity: int

    def pack(self) -> bytes:
        """Return the header's 64 bytes."""
        packed = BLOCK_HEADER.pack(
            BLOCK_MAGIC, VERSION, self.kind, self.group, self.values, self.number, self.capacity
        )
        return packed.ljust(BLOCK_HEADER_BYTES, b"\0")

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> BlockHeader:
        """Read a header back. Raises ValueError on anything that is not one of this version."""
        if len(data) < BLOCK_HEADER_BYTES:
            raise ValueError(f"a block header has {BLOCK_HEADER_BYTES} bytes, not {len(data)}")
        magic, version, kind, group, values, number, capacity = BLOCK_HEADER.unpack_from(data)
        if magic != BLOCK_MAGIC:
            raise ValueError(f"not a block: it begins with {magic!r}")
        if version != VERSION:
            raise ValueError(f"block version {version}; this program reads version {VERSION}")
        if kind not in (ROWS, GROUP, JOURNAL):
            raise ValueError(f"unknown block kind {kind}")
        return cls(kind=kind, group=group, values=values, number=number, capacity=capacity)

    @property
    def file_bytes(self) -> int:
        """The size that the block's file must have."""
        if self.kind == ROWS:
            return rows_block_bytes(self.capacity)
        if self.kind == GROUP:
            return group_block_bytes(self.capacity, self.values)
        return journal_block_bytes(self.capacity)
