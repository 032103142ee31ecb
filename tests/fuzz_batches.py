"""Fuzzing what follows the log: bodies of appends, as the catalog, the lines and the columns take them in."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from column_files import Bench
from fuzz_messages import fill
from fuzz_mutations import mutate
from google.protobuf.message import DecodeError
from logged import FakeLog, columns, entry, items_of, key_defined, run_opened, session_opened

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.log import Position
from contexta_daemon.mirror import Mirror

TOGETHER = 40  # bodies in one workspace
GOOD = [0.5, 1.5]


class Batches:
    """A body of any bytes, behind a good one and before another. Nothing stops, and the good ones are all there."""

    name = "batch"

    def __init__(self, folder: Path) -> None:
        self._root = folder / "ws"
        self._bench: Bench | None = None
        self._count = 0

    def run(self, data: bytes) -> bool:
        if self._bench is None or self._count == TOGETHER:
            self._begin()
        assert self._bench is not None
        self._count += 1
        log, session = self._bench.log, self._count.to_bytes(16, "little")
        log.add(session, session_opened(), run_opened(1, f"run:p.good{self._count}"), key_defined(1, "good"))
        log.add_body(session, data, items_in(data))
        # A scope that the body cannot have closed or opened otherwise: by another session, on the same run.
        other = (self._count + 1000).to_bytes(16, "little")
        opened = run_opened(1, f"run:p.other{self._count}")
        log.add(other, session_opened(), opened, key_defined(1, "good"), columns=[columns(GOOD, series=(1, 1))])
        before = self._set_aside()
        self._follow()
        if self._count == TOGETHER:
            self._check()
        return self._set_aside() == before

    def make(self, chance: random.Random, seeds: list[bytes]) -> bytes:
        if chance.random() < 0.5:
            return mutate(chance, chance.choice(seeds), seeds)
        entries = [fill(pb.Entry(), chance).SerializeToString() for _ in range(chance.choice((1, 3, 10)))]
        return pb.RawBatch(entries=entries).SerializeToString()

    def _begin(self) -> None:
        self.close()
        self._bench = Bench(self._root, log=FakeLog())
        self._mirror = Mirror(self._root / "cache", self._root / "metadata" / "mirror.json", self._bench.catalog)
        self._count = 0

    def _follow(self) -> None:
        assert self._bench is not None
        log, end = self._bench.log, self._bench.log.committed
        for follower in (self._bench.catalog, self._mirror, self._bench.columns):
            batches = [batch for batch in log.batches[-3:] if batch.position >= follower.position]
            follower.follow(batches if follower is not self._bench.columns else log.batches[-3:], end)

    def _set_aside(self) -> int:
        assert self._bench is not None
        with self._bench.catalog.connect() as connection:
            return int(connection.execute("SELECT count(*) FROM set_aside").fetchone()[0])

    def _check(self) -> None:
        """What was good is in the columns and in the lines, once, and each line is one JSON object."""
        assert self._bench is not None
        self._bench.columns.flush()
        good = [f"run:p.other{number}" for number in range(1, TOGETHER + 1)]
        stored = self._bench.rows("run_id, value")
        lines = [json.loads(line) for line in (self._root / "cache" / "record.jsonl").read_bytes().splitlines()]
        for run in good:
            assert sorted(value for of, value in stored if of == run) == GOOD, run
            assert sum(line["payload"].get("envelope", {}).get("run_ref") == run for line in lines) == len(GOOD), run
        with self._bench.catalog.connect() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert self._bench.columns.position == self._bench.log.committed > Position(0, 0)

    def close(self) -> None:
        if self._bench is not None:
            self._mirror.close()
            self._bench.close()
            self._bench = None
        shutil.rmtree(self._root, ignore_errors=True)


def items_in(body: bytes) -> int:
    """How many items an honest sender would say that a body has; 1 for what is none."""
    try:
        return max(1, items_of(pb.RawBatch.FromString(body)))
    except DecodeError:
        return 1


def valid_bodies() -> dict[str, bytes]:
    """One of each kind that a sender makes."""
    bodies = {}
    for kind in pb.Entry.DESCRIPTOR.oneofs_by_name["kind"].fields:
        chance = random.Random(kind.name)
        message = entry(**{kind.name: fill(kind.message_type._concrete_class(), chance, every=True)})
        bodies[kind.name] = pb.RawBatch(entries=[message.SerializeToString()]).SerializeToString()
    return bodies
