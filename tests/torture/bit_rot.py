"""Every byte of a segment cut and flipped, then random bits of random logs: found, at most one frame lost each."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from forgetful_disk import Disk, File, Folder
from forgetful_files import ForgetfulFiles
from rig import Trial, in_processes

from contexta_daemon.log import Envelope, Log, Position, pack_body

FOLDER = Path("/log")
FRAMES = 12
HEADER_BYTES = 144
FLIPS_A_LOG = 500
LONGEST_S = 1800.0


class Rotting:
    """A log in memory, written once, that is read with some of its bytes changed."""

    def __init__(self, chance: random.Random, *, segment_bytes: int = 1 << 20, sizes: int = 60, group: int = 1) -> None:
        self.chance = chance
        self.whole: dict[str, bytes] = {}  # segments by their names
        self.bodies: list[bytes] = []
        self.after_sync = 0  # in the last segment: what stands from there on no sync is known to have followed
        self._write(segment_bytes, sizes, group)

    def read_with(self, changed: dict[str, bytes]) -> tuple[list[bytes], bool]:
        """Read it all with some files as given; return the bodies, and whether anything was said to be wrong."""
        log = Log(FOLDER, files=ForgetfulFiles(_disk_of(self.whole | changed), self.chance))
        found, position = [], Position(0, 0)
        while True:
            batches, end = log.read_some(position, limit_bytes=1 << 20)
            found += [batch.body for batch in batches]
            if end == position:
                return found, bool(log.damaged_frames or log.recovery_notes)
            position = end

    def _write(self, segment_bytes: int, sizes: int, group: int) -> None:
        disk = Disk()
        files = ForgetfulFiles(disk, self.chance)
        log = Log(FOLDER, files=files, segment_bytes=segment_bytes, new_id=lambda: self.chance.randbytes(16))
        sealed = self.chance.random() < 0.8
        while len(self.bodies) < FRAMES:
            batches = []
            for _ in range(self.chance.randint(1, group)):
                body = self.chance.randbytes(self.chance.randrange(1, sizes)) + len(self.bodies).to_bytes(2, "little")
                envelope = Envelope(bytes([self.chance.randrange(3)]) * 16, len(self.bodies), 1, b"", 1)
                self.bodies.append(body)
                batches.append((envelope, pack_body(body, level=1)))
            before = log.committed
            end = log.append(batches)
            self.after_sync = before.offset if before.segment == end.segment else HEADER_BYTES
        if sealed:
            log.close()
            self.after_sync = 1 << 60
        self.whole = {name: bytes(disk.file(FOLDER / name).data) for name in disk.folder(FOLDER).names}


def _disk_of(files: dict[str, bytes]) -> Disk:
    folder = Folder({name: File(bytearray(data), data) for name, data in files.items()})
    folder.disk = dict(folder.names)
    disk = Disk()
    disk.root.names[FOLDER.name] = disk.root.disk[FOLDER.name] = folder
    return disk


def run(trial: Trial) -> None:
    _every_byte(trial)
    wanted = 10_000 if trial.short else 1_000_000
    seeds = [trial.chance.getrandbits(32) for _ in range(wanted // FLIPS_A_LOG)]
    totals: Counter[str] = Counter()
    until = time.monotonic() + trial.lasts_s(LONGEST_S)
    for counts, failures in in_processes(flip_at_random, seeds, until=until):
        totals.update(counts)
        for failure in failures:
            trial.check(False, failure)
        if totals["logs"] % 200 == 0:
            trial.say(f"{totals['flips']:,} of {wanted:,} random flips")
    trial.figure(
        f"{totals['flips']:,} random flips of {totals['logs']:,} logs of 1 to 5 segments: {totals['untold']} without a "
        f"trace, {totals['lost']:,} frames lost; {totals['more']:,} flips in the last write of a killed process cost "
        "others of that write too, none elsewhere"
    )
    trial.check(totals["lost"], "no flip cost anything: they hit nothing")


def _every_byte(trial: Trial) -> None:
    rotting = Rotting(random.Random(trial.chance.getrandbits(32)))
    (path,) = rotting.whole
    whole, bodies = rotting.whole[path], rotting.bodies
    for size in range(len(whole)):
        kept, _ = rotting.read_with({path: whole[:size]})
        trial.check(kept == bodies[: len(kept)], f"cut at {size}: what is left is no beginning")
    flips = untold = 0
    for offset in range(len(whole)):
        for bit in [trial.chance.randrange(8)] if trial.short else range(8):
            problems, counts = _flip(rotting, [(path, offset * 8 + bit)])
            flips, untold = flips + 1, untold + counts["untold"]
            for problem in problems:
                trial.check(False, problem)
    trial.figure(
        f"{len(whole)} bytes, {len(bodies)} frames: {len(whole)} cuts, {flips} flips; {untold} without a trace"
    )


def flip_at_random(seed: int) -> tuple[Counter[str], list[str]]:
    """Flip bits of one random log, a few or one at a time; return what happened, and what was not as promised."""
    chance = random.Random(seed)
    sizes, group = chance.choice((60, 300, 2000)), chance.choice((1, 1, 4))
    rotting = Rotting(chance, segment_bytes=sizes * chance.choice((3, 6, 100)), sizes=sizes, group=group)
    totals = Counter(logs=1)
    failures = []
    while totals["flips"] < FLIPS_A_LOG:
        # Several at once: at most one a segment, so that each is one of its own and not a header's second copy.
        paths = chance.sample(list(rotting.whole), chance.choice((1, 1, min(3, len(rotting.whole)))))
        problems, counts = _flip(rotting, [(path, chance.randrange(len(rotting.whole[path]) * 8)) for path in paths])
        totals.update(counts)
        failures += [f"log {seed}: {problem}" for problem in problems]
    return totals, failures


def _flip(rotting: Rotting, flips: list[tuple[str, int]]) -> tuple[list[str], Counter[str]]:
    """Read with these bits flipped; return what is not as promised, and numbers."""
    name = ", ".join(f"{path} bit {bit}" for path, bit in flips)
    changed = {}
    for path, bit in flips:
        data = bytearray(rotting.whole[path])
        data[bit // 8] ^= 1 << bit % 8
        changed[path] = bytes(data)
    try:
        kept, told = rotting.read_with(changed)
    except Exception as error:
        return [f"{name}: {type(error).__name__}: {error}"], Counter(flips=len(flips))
    bodies, problems = rotting.bodies, []
    lost = len(bodies) - len(kept)
    # Where the last write was not followed by another, its rest may be what a power loss left of it: it goes too.
    last = max(rotting.whole)
    in_last_write = any(path == last and bit // 8 >= rotting.after_sync for path, bit in flips)
    if [body for body in bodies if body in kept] != kept:
        problems.append(f"{name}: a body was changed, doubled or moved")
    if lost > len(flips) and not in_last_write:
        problems.append(f"{name}: {lost} frames lost")
    if not told:
        problems.append(f"{name}: nothing says so")
    more = lost > len(flips)
    return problems, Counter(flips=len(flips), lost=lost, untold=not told, more=more)
