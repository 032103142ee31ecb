"""Logs made to cost far more than they weigh: zstd frames that unpack to hundreds of megabytes, bodies of empty parts.

    python tests/hostile_logs.py LOG     reads one, decodes it, and says what that cost
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contexta_daemon.batches import BadBatchError, decode
from contexta_daemon.log import MAX_BODY_BYTES, Envelope, Log, PackedBody, Position, pack_body
from contexta_daemon.log.envelope import encode_batch

MIB = 1 << 20
UNPACKED_BYTES = 512 * MIB
SESSION = bytes(range(16))


def peak_bytes(pid: int | str = "self") -> int:
    """The most memory that a process ever had."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def zstd_bombs() -> dict[str, PackedBody]:
    """Each a few kilobytes that unpack to UNPACKED_BYTES."""
    told = _zeros(size=UNPACKED_BYTES)
    at = 5 if told[4] & 0x20 else 6  # of the content size: behind magic, descriptor and, unless single, the window
    assert told[4] >> 6 == 2 and int.from_bytes(told[at : at + 4], "little") == UNPACKED_BYTES
    lying = told[:at] + MAX_BODY_BYTES.to_bytes(4, "little") + told[at + 4 :]
    wide = zstandard.ZstdCompressionParameters.from_level(1, window_log=27, write_content_size=False)
    return {
        "says so": PackedBody(told, UNPACKED_BYTES, True),
        "says so inside": PackedBody(told, MAX_BODY_BYTES, True),
        "lies": PackedBody(lying, MAX_BODY_BYTES, True),
        "says nothing": PackedBody(_zeros(), MAX_BODY_BYTES, True),
        "wide window": PackedBody(_zeros(parameters=wide), MAX_BODY_BYTES, True),
        "the most that may be": pack_body(bytes(MAX_BODY_BYTES), level=1),
        "entries": pack_body(b"\x0a\x00" * (MAX_BODY_BYTES // 2), level=1),
        "columns": pack_body(b"\x12\x00" * (MAX_BODY_BYTES // 2), level=1),
        "rows": pack_body(b"\x1a\x00" * (MAX_BODY_BYTES // 2), level=1),
    }


def _zeros(*, size: int = -1, parameters: zstandard.ZstdCompressionParameters | None = None) -> bytes:
    compressor = zstandard.ZstdCompressor(compression_params=parameters) if parameters else zstandard.ZstdCompressor()
    stream = compressor.compressobj(size=size)
    return b"".join([*(stream.compress(bytes(MIB)) for _ in range(UNPACKED_BYTES // MIB)), stream.flush()])


def write_log(path: Path, bodies: list[PackedBody]) -> None:
    """A log of the bodies, a batch that is one at its end, and checksums that hold."""
    log = Log(path)
    for number, body in enumerate([*bodies, pack_body(b"\x0a\x00", level=1)]):
        envelope = Envelope(SESSION, number, 1, b"", number + 1)
        assert b"".join(encode_batch(envelope, body))
        log.append([(envelope, body)])
    log.close()


def main(path: Path) -> None:
    before = peak_bytes()
    log, taken, refused, position = Log(path), 0, 0, Position(0, 0)
    while position < log.committed:
        batches, position = log.read_some(position, limit_bytes=1)
        for batch in batches:
            try:
                taken += len(decode(batch).entries)
            except BadBatchError:
                refused += 1
    said = {"grew": peak_bytes() - before, "taken": taken, "refused": refused, "damaged": log.damaged_frames}
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
