"""Runs what is fuzzed: inputs from tests/corpus, and mutations of them. What fails is kept with its input.

A target is made on a folder of its own and has `run(data) -> bool` (whether the input was taken; an exception is a
finding), and `close()`. It may have `make(chance, seeds)`, where mutation alone would not get far, and `grown_bytes`.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz_batches import Batches
from fuzz_calls import Rpcs
from fuzz_log import Frames, Payloads, Segments
from fuzz_mutations import mutate
from fuzz_packages import Backups, Configs, Packages
from fuzz_spool import Cursors, SpoolFiles

CORPUS = Path(__file__).parent / "corpus"
TARGETS = {
    target.name: target
    for target in (Payloads, Segments, Frames, SpoolFiles, Cursors, Batches, Packages, Backups, Configs, Rpcs)
}
HANG_S = 30  # for one input; the slowest takes a hundredth


@dataclass
class Findings:
    """What came of fuzzing a target."""

    runs: int = 0
    taken: int = 0
    grown_bytes: int = 0  # the most by which a target's own process grew
    failed: dict[str, tuple[bytes, str]] = field(default_factory=dict)  # by place: the first input, and what it did


def corpus(name: str) -> list[bytes]:
    """Return the seeds of a target, in the order of their names."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


@contextlib.contextmanager
def target(name: str) -> Iterator[Any]:
    """A target on a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="contexta-fuzz-"))
    made = TARGETS[name](folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def fuzz(name: str, chance: random.Random, *, runs: int = 1 << 60, seconds: float = 1e9) -> Findings:
    """Run the corpus of a target, and then mutations of it, so many or for so long."""
    found, seeds = Findings(), corpus(name)
    with target(name) as made, _alarm():
        make = getattr(made, "make", mutate_one)
        until = time.monotonic() + seconds
        for data in seeds:
            _try(made, data, found)
        for _ in range(runs):
            if time.monotonic() >= until:
                break
            _try(made, make(chance, seeds), found)
        found.grown_bytes = getattr(made, "grown_bytes", 0)
    return found


def mutate_one(chance: random.Random, seeds: list[bytes]) -> bytes:
    return mutate(chance, chance.choice(seeds), seeds)


def keep(found: Findings, folder: Path) -> list[str]:
    """Write failing inputs to files; return what to say of each."""
    said = []
    for data, what in found.failed.values():
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / hashlib.sha256(data).hexdigest()[:16]
        path.write_bytes(data)
        said.append(f"{path}: {what}")
    return said


def _try(made: Any, data: bytes, found: Findings) -> None:
    found.runs += 1
    signal.alarm(HANG_S)
    try:
        found.taken += bool(made.run(data))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = traceback.format_exc(limit=-4)
        found.failed.setdefault(f"{type(error).__name__} {place.filename}:{place.lineno}", (data, text))
    finally:
        signal.alarm(0)


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def hangs(*_: object) -> None:
        raise TimeoutError(f"an input takes more than {HANG_S} s")

    before = signal.signal(signal.SIGALRM, hangs)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
