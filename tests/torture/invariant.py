"""What holds after every round of breaking: what returned is readable, once, bit for bit, and every loss is counted.

Looked at once all has been delivered and no daemon serves: the log against what the calls of each run said, and what
followers made of it (catalog, columns, JSON lines) against the log up to where each of them stands.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from stored import READ_BYTES, Session, by_run, read_log

from contexta_daemon.columns import chain_in
from contexta_daemon.log import Log, Position
from contexta_daemon.mirror.files import load_state

LEFT_OVER = ("*.tmp", "*.new", ".incoming-*", "duckdb_temp*")
Values = Callable[[Any], Any]  # of an array of steps


@dataclass(frozen=True, slots=True)
class Told:
    """What the calls of one run said. `series` by key: how many returned, and the values that steps 0, 1, 2 … have.

    `in_flight`: so many calls may have been cut off, of which each may be kept or not. `refused`: records of which the
    calls themselves said that they are not kept.
    """

    run: str
    series: Mapping[str, tuple[int, Values]]
    events: int = 0
    in_flight: int = 0
    refused: int = 0

    @property
    def returned(self) -> int:
        return sum(count for count, _ in self.series.values()) + self.events


@dataclass(slots=True)
class Held:
    """What the log of a workspace holds."""

    sessions: dict[bytes, Session] = field(default_factory=dict)
    log: Log | None = None

    @classmethod
    def of(cls, workspace: Path) -> Held:
        return cls(*read_log(workspace))

    def up_to(self, end: Position) -> Held:
        """Return what the log holds before a position, at which a batch ends."""
        assert self.log is not None
        part = Held()
        position = Position(0, 0)
        while position < end:
            batches, following = self.log.read_some(position, limit_bytes=READ_BYTES)
            for batch in batches:
                if batch.end <= end:
                    part.sessions.setdefault(batch.envelope.session_id, Session()).add(batch)
            if following == position:
                break
            position = following
        return part

    def points(self) -> list[tuple[int, int]]:
        """Return (step or -1, bits of the value) of all metrics, ordered."""
        found = []
        for session in self.sessions.values():
            for key in {entry.key_defined.key for entry in session.of("key_defined")}:
                steps, values = session.points(key)
                found += list(zip(steps.tolist(), values.view(np.int64).tolist(), strict=True))
            for entry in session.of("record_stored"):
                value = json.loads(entry.record_stored.json)["payload"]["value"]
                found.append((-1, int(np.float64(value).view(np.int64))))
        return sorted(found)

    def keys(self) -> Counter[str]:
        """Return how many metrics of each key there are, those that were put included."""
        found: Counter[str] = Counter()
        for session in self.sessions.values():
            for key in {entry.key_defined.key for entry in session.of("key_defined")}:
                found[key] += len(session.points(key)[0])
            for entry in session.of("record_stored"):
                found[json.loads(entry.record_stored.json)["payload"]["metric_key"]] += 1
        return +found


def problems(workspace: Path, told: Iterable[Told]) -> list[str]:
    """Return what is not as promised; nothing when all is."""
    held = Held.of(workspace)
    found = list(_log_is_whole(held))
    for run in told:
        found += [f"{run.run}: {problem}" for problem in _kept(held, run)]
    for check in (_in_catalog, _in_columns, _in_lines):
        found += check(workspace, held)
    found += _on_disk(workspace)
    return found


def _log_is_whole(held: Held) -> Iterator[str]:
    assert held.log is not None
    if held.log.damaged_frames:
        yield f"{held.log.damaged_frames} damaged frames"
    if gaps := sum(each.gaps for each in held.sessions.values()):
        yield f"{gaps} gaps or repeats"


def _kept(held: Held, told: Told) -> Iterator[str]:
    """Durable ⊆ readable, each once, bit-exact, and counted losses equal to real ones."""
    sessions = by_run(held.sessions).get(told.run, [])
    if not sessions and told.returned == told.refused:
        return  # killed before its first call came back, or never able to keep anything, and said so
    if len(sessions) != 1:
        yield f"{len(sessions)} sessions in the log, {told.returned} records returned"
        return
    (session,) = sessions
    lost = 0
    for key, (returned, values) in told.series.items():
        steps, kept = session.points(key)
        yield from _numbered(key, steps, returned + told.in_flight)
        if kept.tobytes() != values(steps).tobytes():
            yield f"{key}: values changed"
        lost += returned - int((steps < returned).sum())
    events = np.array([int(e.event.message) for e in session.of("event") if e.event.message.isdigit()], np.int64)
    yield from _numbered("events", events, told.events + told.in_flight)
    lost += told.events - int((events < told.events).sum())
    yield from _lost_is_counted(session, told, lost)


def _numbered(what: str, steps: Any, bound: int) -> Iterator[str]:
    if len(np.unique(steps)) != len(steps):
        yield f"{what}: {len(steps) - len(np.unique(steps))} of {len(steps)} are there twice"
    if len(steps) and not 0 <= steps.min() <= steps.max() < bound:
        yield f"{what}: {steps.min()} to {steps.max()} are there, of {bound}"


def _lost_is_counted(session: Session, told: Told, lost: int) -> Iterator[str]:
    """What is lost was refused by its call, and stands in the log as dropped."""
    counted = sum(metrics + entries for metrics, entries in session.dropped().values())
    if not lost <= counted <= lost + told.in_flight:
        yield f"{lost} records are lost, the log counts {counted}: {session.dropped()}"
    if lost != told.refused:
        yield f"{lost} records are lost, of {told.refused} the calls said so"


def _in_catalog(workspace: Path, held: Held) -> Iterator[str]:
    path = workspace / "metadata" / "catalog.sqlite3"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as catalog:
        ask = catalog.execute
        if (check := ask("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            yield f"the catalog is damaged: {check[:3]}"
        if aside := ask("SELECT * FROM set_aside").fetchall():
            yield f"set aside: {aside[:3]}"
        segment, offset = ask("SELECT value FROM meta WHERE name = 'position'").fetchone()[0].split(":")
        expected = held.up_to(Position(int(segment), int(offset))).keys()
        counts = Counter(dict(ask("SELECT key, sum(points) FROM summaries GROUP BY key").fetchall()))
        if counts != expected:
            yield f"the catalog counts {dict(counts)}, the log has {dict(expected)} up to there"
        if (runs := ask("SELECT total(metric_count) FROM runs").fetchone()[0]) != expected.total():
            yield f"the runs have {runs} metrics in the catalog, {expected.total()} in the log up to there"


def _in_columns(workspace: Path, held: Held) -> Iterator[str]:
    """What the columns hold is what the log holds up to where they stand."""
    folder = workspace / "records" / "columns"
    chain = chain_in(folder)
    expected = held.up_to(chain[-1].end).points() if chain else []
    found: list[tuple[int, int]] = []
    if chain:
        paths = [str(folder / file.name) for file in chain]
        with duckdb.connect(":memory:", config={"threads": 1}) as connection:
            columns = connection.execute("SELECT step, value FROM read_parquet(?)", [paths]).fetchnumpy()
        steps = np.ma.filled(columns["step"], -1).astype(np.int64)
        found = sorted(zip(steps.tolist(), columns["value"].view(np.int64).tolist(), strict=True))
    if found != expected:
        yield f"{len(found)} metrics in {len(chain)} column files, {len(expected)} in the log up to there"


def _in_lines(workspace: Path, held: Held) -> Iterator[str]:
    lines = [json.loads(line) for line in _lines(workspace / "cache" / "capture" / "record.jsonl")]
    payloads = [line["payload"]["payload"] for line in lines]
    keys = Counter(payload["metric_key"] for payload in payloads if "metric_key" in payload)
    state = load_state(workspace / "metadata" / "mirror.json")
    expected = held.up_to(state.position).keys() if state is not None else Counter()
    if keys != expected:
        yield f"record.jsonl has {dict(keys)}, the log {dict(expected)} up to there"
    refs = Counter(line["payload_ref"] for line in lines)
    refs.update(json.loads(line)["payload_ref"] for line in _lines(workspace / "cache" / "capture" / "artifact.jsonl"))
    if twice := [ref for ref, count in refs.items() if count > 1]:
        yield f"{len(twice)} lines stand twice: {twice[:3]}"


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def _on_disk(workspace: Path) -> Iterator[str]:
    # A merge of columns ends with its daemon, and the next one clears up behind it.
    found = [path.relative_to(workspace) for pattern in LEFT_OVER for path in workspace.rglob(pattern)]
    if left := [str(path) for path in found if not path.name.endswith(".parquet.new")]:
        yield f"left over: {left}"
    others = [str(path) for path in workspace.rglob("*") if path.stat(follow_symlinks=False).st_mode & 0o077]
    if others:
        yield f"open to others: {others[:3]}"
