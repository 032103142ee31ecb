"""Writes batches of known content to a log, notes what was acknowledged, and compares it with what can be read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from contexta_daemon.log import Envelope, Log, LogIOError, Position, pack_body
from contexta_daemon.log.files import Files

BEGINNING = Position(0, 0)
ALL = 1 << 60


def session(number: int) -> bytes:
    return bytes([number]) * 16


def body_of(session_id: bytes, first_sequence: int, size: int = 40) -> bytes:
    """Bytes that only these items have; half of them compress."""
    seed = hashlib.blake2b(session_id + first_sequence.to_bytes(8, "little")).digest()
    return (seed * (size // 64 + 1))[: size // 2] + b"\0" * (size - size // 2)


def make_batch(session_id: bytes, first_sequence: int, *, items: int = 3, size: int = 40):
    """(envelope, packed body) as Log.append takes them."""
    cursor = b"at %d" % (first_sequence + items)
    envelope = Envelope(session_id, first_sequence, items, cursor, 1_000_000 + first_sequence)
    return envelope, pack_body(body_of(session_id, first_sequence, size), level=1)


@dataclass
class Notebook:
    """What a sender believes: which batches were acknowledged, and which sessions were closed."""

    acknowledged: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    sent: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    closed: set[bytes] = field(default_factory=set)

    def append(self, log: Log, session_ids: list[bytes], *, size: int = 40, tries: int = 1, sync: bool = True) -> None:
        """One group: a batch of each session where it stands, tried again when the disk refuses."""
        batches = []
        for session_id in session_ids:
            state = log.sessions.get(session_id)
            batches.append(make_batch(session_id, state.next_sequence if state else 0, size=size))
        keys = [(envelope.session_id, envelope.first_sequence) for envelope, _ in batches]
        self.sent.update({key: body_of(*key, size) for key in keys})
        for attempt in count(1):
            try:
                log.append(batches, sync=sync)
                break
            except LogIOError:
                if attempt >= tries:
                    raise
        self.acknowledged.update({key: self.sent[key] for key in keys})

    def close(self, log: Log, session_id: bytes, *, tries: int = 1) -> None:
        for attempt in count(1):
            try:
                log.append([], closing=[session_id])
                break
            except LogIOError:
                if attempt >= tries:
                    raise
        self.closed.add(session_id)

    def check(self, log: Log) -> None:
        """Acknowledged is readable, each once, bit-exact, in order; nothing is readable that was never sent."""
        found: dict[tuple[bytes, int], bytes] = {}
        next_sequence: dict[bytes, int] = {}
        for batch in log.read(BEGINNING, limit_bytes=ALL):
            key = (batch.envelope.session_id, batch.envelope.first_sequence)
            assert key not in found, f"read twice: {key}"
            assert batch.envelope.first_sequence == next_sequence.get(batch.envelope.session_id, 0)
            next_sequence[batch.envelope.session_id] = batch.envelope.next_sequence
            found[key] = batch.body
            assert log.read_at(batch.position) == batch
        assert self.acknowledged.items() <= found.items()
        assert found.items() <= self.sent.items()
        for session_id, sequence in next_sequence.items():
            state = log.sessions.get(session_id)
            assert state is not None and state.next_sequence == sequence
            assert state.closed or state.cursor == b"at %d" % sequence
        for session_id in self.closed:
            assert (state := log.sessions.get(session_id)) is not None and state.closed


def write_script(path: Path, files: Files, notebook: Notebook, *, tries: int = 1) -> None:
    """Everything a log goes through in its life: three processes, several segments, several sessions."""
    a, b, c = session(1), session(2), session(3)
    for _ in range(3):
        log = open_log(path, files, tries=tries)
        notebook.append(log, [a, b], tries=tries)
        notebook.append(log, [a], size=900, tries=tries)
        notebook.append(log, [b, a, c], tries=tries)
        log.close()
    log = open_log(path, files, tries=tries)
    notebook.append(log, [a, c], tries=tries)
    notebook.close(log, b, tries=tries)
    notebook.append(log, [c], size=900, tries=tries)
    # no close: the process dies here


def open_log(path: Path, files: Files, *, tries: int = 1, segment_bytes: int = 1200) -> Log:
    for _ in range(tries - 1):
        try:
            return Log(path, files=files, segment_bytes=segment_bytes, clock_ns=lambda: 2_000_000)
        except LogIOError:
            pass
    return Log(path, files=files, segment_bytes=segment_bytes, clock_ns=lambda: 2_000_000)
