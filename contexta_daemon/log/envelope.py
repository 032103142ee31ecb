"""What stands in the payload of each kind of frame. Drawn in docs/format/log.md. Bytes in, bytes out: no I/O.

A batch's payload is its envelope, the sender's cursor, a check of these two, and the body (usually compressed). The
envelope has a check of its own so that a damaged body still tells whose items are lost.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import xxhash
import zstandard

MAX_BODY_BYTES = 8 << 20  # of a batch, uncompressed
MAX_CURSOR_BYTES = 4096
MAX_SEQUENCE = 1 << 63  # of items in a session
SESSION_ID_BYTES = 16

_ENVELOPE = struct.Struct("<16sQIIqHxx")  # session, first sequence, count, body bytes, appended ns, cursor bytes
_CHECK_BYTES = 4
_CHECKPOINT = struct.Struct("<I")
_SESSION = struct.Struct("<16sQqBxH")  # session, next sequence, last ns, closed, cursor bytes
_CLOSED = struct.Struct("<16sq")  # session, closed ns
_FOOTER = struct.Struct("<QQqq")  # batches, items, first and last appended ns

_codecs = threading.local()


class PayloadError(ValueError):
    """The payload is not of the form its frame says."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Whose items a batch holds, and which: `count` items from `first_sequence` on."""

    session_id: bytes
    first_sequence: int
    count: int
    cursor: bytes
    appended_ns: int

    @property
    def next_sequence(self) -> int:
        return self.first_sequence + self.count


@dataclass(frozen=True, slots=True)
class PackedBody:
    """A body as it stands in the log: `raw_bytes` long when unpacked."""

    data: bytes
    raw_bytes: int
    compressed: bool


@dataclass(frozen=True, slots=True)
class SessionState:
    """Where a session stands: `last_ns` is when it was last written to, or closed."""

    next_sequence: int
    cursor: bytes
    closed: bool
    last_ns: int


@dataclass(frozen=True, slots=True)
class Footer:
    batches: int
    items: int
    first_ns: int
    last_ns: int


def pack_body(body: bytes, *, level: int) -> PackedBody:
    """Compress a body; one that does not shrink is kept as it is. Releases the interpreter lock."""
    assert len(body) <= MAX_BODY_BYTES, len(body)
    compressors = _codecs.__dict__.setdefault("compressors", {})
    compressor = compressors.get(level)
    if compressor is None:
        compressor = compressors[level] = zstandard.ZstdCompressor(level=level, write_checksum=False)
    data = compressor.compress(body)
    if len(data) >= len(body):
        return PackedBody(body, len(body), False)
    return PackedBody(data, len(body), True)


def unpack_body(data: bytes | memoryview, *, raw_bytes: int, compressed: bool) -> bytes:
    """The inverse of pack_body. Never makes more than `raw_bytes`, nor more than the limit of a body."""
    if raw_bytes > MAX_BODY_BYTES:
        raise PayloadError(f"a body of {raw_bytes} bytes is over the limit of {MAX_BODY_BYTES}")
    if not compressed:
        body = bytes(data)
    else:
        decompressor = _codecs.__dict__.get("decompressor")
        if decompressor is None:
            decompressor = _codecs.decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_BODY_BYTES)
        try:
            if zstandard.frame_content_size(data) != raw_bytes:
                raise PayloadError("the compressed body is of another length than its envelope says")
            body = decompressor.decompress(data, max_output_size=raw_bytes)
        except zstandard.ZstdError as error:
            raise PayloadError(f"the body cannot be decompressed: {error}") from error
    if len(body) != raw_bytes:
        raise PayloadError(f"the body has {len(body)} bytes and should have {raw_bytes}")
    return body


def encode_batch(envelope: Envelope, body: PackedBody) -> list[bytes]:
    """The parts of a batch frame's payload."""
    assert len(envelope.session_id) == SESSION_ID_BYTES and len(envelope.cursor) <= MAX_CURSOR_BYTES
    head = (
        _ENVELOPE.pack(
            envelope.session_id, envelope.first_sequence, envelope.count, body.raw_bytes, envelope.appended_ns,
            len(envelope.cursor),
        )
        + envelope.cursor
    )  # fmt: skip
    return [head + _envelope_check(head), body.data]


def decode_envelope(payload: bytes | memoryview) -> tuple[Envelope, int, int]:
    """(envelope, body's length when unpacked, where the body begins in the payload), checked by their own check."""
    if len(payload) < _ENVELOPE.size + _CHECK_BYTES:
        raise PayloadError("a batch is shorter than its envelope")
    session_id, first, count, raw_bytes, appended_ns, cursor_bytes = _ENVELOPE.unpack_from(payload)
    end = _ENVELOPE.size + cursor_bytes
    head = bytes(payload[:end])
    if len(head) < end or _envelope_check(head) != bytes(payload[end : end + _CHECK_BYTES]):
        raise PayloadError("a batch's envelope is damaged")
    if not count or first + count > MAX_SEQUENCE or cursor_bytes > MAX_CURSOR_BYTES:
        raise PayloadError(f"a batch cannot hold {count} items from {first} on, and a cursor of {cursor_bytes} bytes")
    return Envelope(session_id, first, count, head[_ENVELOPE.size :], appended_ns), raw_bytes, end + _CHECK_BYTES


def decode_batch(payload: bytes | memoryview, *, compressed: bool) -> tuple[Envelope, bytes]:
    """A batch frame's envelope and unpacked body."""
    envelope, raw_bytes, start = decode_envelope(payload)
    return envelope, unpack_body(payload[start:], raw_bytes=raw_bytes, compressed=compressed)


def encode_checkpoint(sessions: Sequence[tuple[bytes, SessionState]]) -> bytes:
    parts = [_CHECKPOINT.pack(len(sessions))]
    for session_id, state in sessions:
        parts.append(
            _SESSION.pack(session_id, state.next_sequence, state.last_ns, state.closed, len(state.cursor))
            + state.cursor
        )
    return b"".join(parts)


def decode_checkpoint(payload: bytes | memoryview) -> dict[bytes, SessionState]:
    data = bytes(payload)
    sessions: dict[bytes, SessionState] = {}
    try:
        (count,) = _CHECKPOINT.unpack_from(data)
        at = _CHECKPOINT.size
        for _ in range(count):
            session_id, next_sequence, last_ns, closed, cursor_bytes = _SESSION.unpack_from(data, at)
            at += _SESSION.size
            if next_sequence > MAX_SEQUENCE or cursor_bytes > MAX_CURSOR_BYTES:
                raise PayloadError(f"a checkpoint says {next_sequence} items and a cursor of {cursor_bytes} bytes")
            sessions[session_id] = SessionState(next_sequence, data[at : at + cursor_bytes], bool(closed), last_ns)
            at += cursor_bytes
    except struct.error as error:
        raise PayloadError("a checkpoint ends too early") from error
    if at != len(data):
        raise PayloadError("a checkpoint is of another length than its sessions")
    return sessions


def encode_session_closed(session_id: bytes, closed_ns: int) -> bytes:
    return _CLOSED.pack(session_id, closed_ns)


def decode_session_closed(payload: bytes | memoryview) -> tuple[bytes, int]:
    try:
        session_id, closed_ns = _CLOSED.unpack(payload)
    except struct.error as error:
        raise PayloadError("a closing of a session has a wrong length") from error
    return session_id, closed_ns


def encode_footer(footer: Footer) -> bytes:
    return _FOOTER.pack(footer.batches, footer.items, footer.first_ns, footer.last_ns)


def _envelope_check(head: bytes) -> bytes:
    return (xxhash.xxh3_64_intdigest(head) & 0xFFFFFFFF).to_bytes(_CHECK_BYTES, "little")
