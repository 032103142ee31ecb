"""A spool as it would be left by a process killed now, and the metrics and events that a sender makes of one."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from plain_batches import plain_batch

from contexta.v1 import capture_pb2
from contexta_client.sender.answers import Answers
from contexta_client.sender.batches import Batcher, Body
from contexta_client.sender.cursor import Cursor
from contexta_client.sender.follow import SpoolReader

Item = tuple[str, float | str, int | None]  # key, value or message, step


@dataclass
class Reading:
    """What was read, in order: definitions apply to all that comes after."""

    items: list[Item] = field(default_factory=list)
    keys: dict[int, str] = field(default_factory=dict)
    groups: dict[int, list[int]] = field(default_factory=dict)

    def add(self, body: Body) -> None:
        batch = plain_batch(body.data)
        for data in batch.entries:
            self._entry(data)
        for part in batch.columns:
            for value, series, step in zip(part.value, part.series, part.step, strict=True):
                self.items.append((self.keys[series & 0xFFFFFFFF], value, _step(step)))
        for part in batch.rows:
            keys, rows = self.groups[part.group_id], len(part.step)
            assert len(part.value) == len(keys) * rows
            for row, step in enumerate(part.step):
                for place, key in enumerate(keys):
                    self.items.append((self.keys[key], part.value[place * rows + row], _step(step)))

    def _entry(self, entry: capture_pb2.Entry) -> None:
        kind = entry.WhichOneof("kind")
        if kind == "key_defined":
            self.keys[entry.key_defined.key_id] = entry.key_defined.key
        elif kind == "group_defined":
            self.groups[entry.group_defined.group_id] = list(entry.group_defined.key_id)
        elif kind == "event":
            self.items.append((entry.event.key, entry.event.message, None))
        elif kind == "wide_metric":
            wide = entry.wide_metric
            self.items.append((self.keys[wide.key_id], wide.value, _step(wide.step)))

    def copy(self) -> Reading:
        return Reading(list(self.items), dict(self.keys), dict(self.groups))


def _step(stored: int) -> int | None:
    return None if stored == 0 else stored - (stored > 0)


class Sender:
    """Reads a spool from a cursor on, batch by batch, as a session does; `acked` is what a daemon has."""

    def __init__(self, folder: Path, acked: Cursor, reading: Reading) -> None:
        self.reader = SpoolReader(bytes.fromhex(folder.name), [folder])
        self.acked, self.durable = acked, reading
        self.batcher = Batcher(self.reader, acked.copy())
        self.answers = Answers(self.reader)
        self.in_flight: list[Body] = []

    def read(self, *, final: bool = False) -> None:
        """Make batches of all that was committed."""
        ends = self.reader.ends(final=final)
        while True:
            body = self.batcher.next(ends, now=0.0)
            if body is not None:
                self.in_flight.append(body)
            if self.batcher.complete:
                return

    def acknowledge(self, count: int) -> None:
        """The daemon has the first batches of those in flight: blocks behind them may go."""
        taken, self.in_flight = self.in_flight[:count], self.in_flight[count:]
        for body in taken:
            self.durable.add(body)
            self.acked = body.cursor
        self.answers.release(self.acked)

    def close(self) -> None:
        self.reader.close()


def what_is_left(folder: Path, acked: Cursor, reading: Reading) -> tuple[list[Item], Cursor]:
    """Return all items and the cursor, where the writer was killed and a new sender takes up its spool."""
    sender = Sender(folder, acked.copy(), reading.copy())
    try:
        sender.read(final=True)
        sender.acknowledge(len(sender.in_flight))
        return sender.durable.items, sender.batcher.cursor
    finally:
        sender.close()


def snapshot(folder: Path, into: Path) -> Path:
    """Copy a spool as it is at one moment: no other thread of Python runs between the first byte and the last."""
    names = [name for name in os.listdir(folder) if not name.startswith(".") and name != "lock"]
    mapped = list(_mapped(folder / name for name in names))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        contents = [each[:] for each in mapped]
    finally:
        sys.setswitchinterval(interval)
    for each in mapped:
        each.close()
    copied = into / folder.name
    copied.mkdir(parents=True)
    for name, content in zip(names, contents, strict=True):
        (copied / name).write_bytes(content)
    return copied


def _mapped(paths: Iterable[Path]) -> Iterable[mmap.mmap]:
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        try:
            yield mmap.mmap(file, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(file)
