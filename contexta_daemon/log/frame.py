"""The bytes of a frame, the unit of the log. Drawn in docs/format/log.md. Bytes in, bytes out: no I/O.

    0   4s  magic "CTXF"
    4   u32 length of the payload
    8   u8  kind
    9   u8  flags
    10  u16 check of bytes 0..9
    12  u64 xxh3-64 of bytes 0..11 and the payload
    20  payload

Both checks are seeded with the log's random id, the segment's number and the frame's offset: a frame is valid only at
the place where it was written, so that bytes within a payload, however chosen, are never taken for a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import xxhash

MAGIC = b"CTXF"
HEADER = struct.Struct("<4sIBBHQ")
HEADER_BYTES = HEADER.size
MAX_PAYLOAD_BYTES = 32 << 20

BATCH, CHECKPOINT, SESSION_CLOSED, FOOTER, LEAN = 1, 2, 3, 4, 5  # kind; LEAN begins a lean segment
KINDS = frozenset((BATCH, CHECKPOINT, SESSION_CLOSED, FOOTER, LEAN))
COMPRESSED = 1  # flags: the body is one zstd frame
AFTER_SYNC = 2  # flags: all that stands before it in the segment was durable when it was written

_CHECKED = struct.Struct("<4sIBB")
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class FrameHeader:
    length: int
    kind: int
    flags: int
    checksum: int

    @property
    def frame_bytes(self) -> int:
        return HEADER_BYTES + self.length


def segment_seed(log_id: bytes, number: int, *, version: int = 1) -> int:
    """What ties a frame's checks to its log and segment, and to the form of that segment."""
    form = b"" if version == 1 else version.to_bytes(4, "little")
    return xxhash.xxh3_64_intdigest(log_id + number.to_bytes(8, "little") + form)


def encode_header(kind: int, flags: int, payload: Sequence[bytes | memoryview], *, seed: int, offset: int) -> bytes:
    """The header of a frame at `offset` whose payload is the given parts in order."""
    length = sum(len(part) for part in payload)
    assert length <= MAX_PAYLOAD_BYTES, length
    seed = (seed + offset) & _MASK
    start = _CHECKED.pack(MAGIC, length, kind, flags)
    start += _header_check(start, seed).to_bytes(2, "little")
    digest = xxhash.xxh3_64(start, seed=seed)
    for part in payload:
        digest.update(part)
    return start + digest.intdigest().to_bytes(8, "little")


def decode_header(data: bytes | memoryview, *, seed: int, offset: int) -> FrameHeader | None:
    """The header in the first 20 bytes of `data`, or None when there is no valid one for this place."""
    magic, length, kind, flags, check, checksum = HEADER.unpack_from(data)
    if magic != MAGIC or length > MAX_PAYLOAD_BYTES or kind not in KINDS:
        return None
    if check != _header_check(bytes(data[:10]), (seed + offset) & _MASK):
        return None
    return FrameHeader(length, kind, flags, checksum)


def payload_is_valid(data: bytes | memoryview, header: FrameHeader, *, seed: int, offset: int) -> bool:
    """Whether `data`, the whole frame from its header on, is what was written at `offset`."""
    assert len(data) == header.frame_bytes
    digest = xxhash.xxh3_64(data[:12], seed=(seed + offset) & _MASK)
    digest.update(data[HEADER_BYTES:])
    return digest.intdigest() == header.checksum


def _header_check(start: bytes, seed: int) -> int:
    return xxhash.xxh3_64_intdigest(start, seed=seed) & 0xFFFF
