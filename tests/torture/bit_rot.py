"""A segment cut at every byte, and every byte of it flipped: found, at most one frame lost, the rest kept."""

from __future__ import annotations

from pathlib import Path

from rig import Trial, folder

from contexta_daemon.log import Envelope, Log, Position, pack_body

FRAMES = 12
SESSION = bytes(range(16))


def run(trial: Trial) -> None:
    with folder(trial) as place:
        path, bodies = _write(place / "log", trial)
        segment = next(path.glob("*.seg"))
        whole = segment.read_bytes()
        cut = flipped = undetected = 0
        for size in range(len(whole)):
            segment.write_bytes(whole[:size])
            kept = _read(path)[0]
            trial.check(kept == bodies[: len(kept)], f"cut at {size}: what is left is no beginning")
            cut += 1
        masks = [1 << trial.chance.randrange(8) for _ in whole] if trial.short else None
        for offset in range(len(whole)):
            for mask in [masks[offset]] if masks else [1 << bit for bit in range(8)]:
                damaged = bytearray(whole)
                damaged[offset] ^= mask
                segment.write_bytes(damaged)
                undetected += _check_flip(trial, path, bodies, offset, mask)
                flipped += 1
        trial.figure(f"{len(whole)} bytes, {FRAMES} frames: {cut} cuts, {flipped} flips; {undetected} without a trace")


def _check_flip(trial: Trial, path: Path, bodies: list[bytes], offset: int, mask: int) -> bool:
    """Check what is read beside one flipped bit; return whether nothing was lost and nothing was said."""
    try:
        kept, damaged, notes = _read(path)
    except Exception as error:
        trial.check(False, f"flip {mask:#x} at {offset}: {type(error).__name__}: {error}")
        return False
    trial.check(all(body in bodies for body in kept), f"flip {mask:#x} at {offset}: a changed body was given out")
    trial.check(len(kept) >= len(bodies) - 1, f"flip {mask:#x} at {offset}: {len(bodies) - len(kept)} frames lost")
    lost_quietly = len(kept) < len(bodies) and not damaged and not notes
    trial.check(not lost_quietly, f"flip {mask:#x} at {offset}: a frame is missing and nothing says so")
    return not damaged and not notes


def _write(path: Path, trial: Trial) -> tuple[Path, list[bytes]]:
    log = Log(path)
    bodies = [trial.chance.randbytes(trial.chance.randrange(1, 60)) for _ in range(FRAMES)]
    for number, body in enumerate(bodies):
        envelope = Envelope(session_id=SESSION, first_sequence=number, count=1, cursor=b"", appended_ns=number + 1)
        log.append([(envelope, pack_body(body, level=1))])
    log.close()
    return path, bodies


def _read(path: Path) -> tuple[list[bytes], int, tuple[str, ...]]:
    log = Log(path)
    found, position = [], Position(0, 0)
    while True:
        batches, end = log.read_some(position, limit_bytes=1 << 20)
        found += [batch.body for batch in batches]
        if end == position:
            return found, log.damaged_frames, log.recovery_notes
        position = end
