"""Records put through the stores: their metrics are counted like captured ones, each reference once."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, NamedTuple

import xxhash

from contexta.errors import ContextaError
from contexta.v1 import capture_pb2
from contexta_daemon.batches import parse_instant
from contexta_daemon.log import Position

from .models import require_run
from .names import rank_of
from .observations import as_float
from .runs import attempt_of
from .tally import Tallies

# What SQLite, Parquet and answers hold. Ask it for nothing but an int: anything else is looked for number by number.
INT64 = range(-(1 << 63), 1 << 63)
_NO_RECORD = (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)


class BadRecordError(ContextaError):
    """A stored record whose JSON is not one, or with numbers that nothing holds."""

    default_code = "bad_record"


class StoredContent(NamedTuple):
    """What a stored record says. What it is counted by has the type and the size that the tables take."""

    envelope: dict[str, Any]
    payload: dict[str, Any]
    observed_ns: int
    rank: int | None
    step: int  # in its stored form
    value: float  # 0.0 where there is none


class StoredPlace(NamedTuple):
    """Which attempt of its run a stored record is of, as a row of runs and as a number; 0: of none."""

    run: int
    attempt: int


def store_record(
    connection: sqlite3.Connection, tallies: Tallies, stored: capture_pb2.RecordStored, item: int
) -> None:
    """Apply RecordStored, an item of the batch that is applied now. Raises BadRecordError, having changed nothing."""
    if connection.execute("SELECT 1 FROM stored_records WHERE ref = ?", (stored.ref,)).fetchone():
        return  # stored again: the first one counts
    content = content_of(stored)
    try:
        run = _run_of(connection, content)
    except _NO_RECORD as error:
        raise _bad(stored, error) from error
    connection.execute(
        "INSERT INTO stored_records (ref, batch, item, run, digest) "
        "SELECT ?, coalesce(max(id), 0) + 1, ?, ?, ? FROM batches",
        (stored.ref, item, run, digest_of(stored)),
    )
    if run and stored.record_type == "metric":
        tallies.add_stored(
            run,
            content.envelope.get("stage_execution_ref") or "",
            content.payload["metric_key"],
            content.rank,
            content.payload.get("unit") or "",
            value=content.value,
            step=content.step,
            time_ns=content.observed_ns,
        )


def stored_at(connection: sqlite3.Connection, ref: str, position: Position, item: int) -> StoredPlace | None:
    """Return where the record at a place of the log belongs; None when it was set aside, or had been stored before."""
    row = connection.execute(
        "SELECT s.run, coalesce(r.attempt, 0) FROM stored_records s JOIN batches b ON b.id = s.batch "
        "LEFT JOIN runs r ON r.id = s.run WHERE s.ref = ? AND s.item = ? AND b.segment = ? AND b.offset = ?",
        (ref, item, position.segment, position.offset),
    ).fetchone()
    return StoredPlace(*row) if row else None


def _run_of(connection: sqlite3.Connection, content: StoredContent) -> int:
    """The attempt that the envelope names, if it is there; else the newest one at this place in the log. 0: of none."""
    run_ref, attempt = content.envelope.get("run_ref"), content.envelope.get("attempt")
    if not run_ref:
        return 0
    named = attempt_of(connection, run_ref, attempt) if attempt is not None and attempt in INT64 else None
    return named.id if named is not None else require_run(connection, run_ref, content.observed_ns)


def content_of(stored: capture_pb2.RecordStored) -> StoredContent:
    """Read a stored record. Raises BadRecordError."""
    try:
        content = json.loads(stored.json)
        if "\\u" in stored.json:
            json.dumps(content, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        envelope, payload = content["envelope"], content["payload"]
        texts = {name: text for name, text in envelope.items() if name.endswith("_ref") and text is not None}
        texts["unit"] = payload.get("unit") or ""
        step, value = payload.get("step"), 0.0
        if not (texts.get("run_ref") or texts.get("deployment_execution_ref")):
            raise KeyError("run_ref")
        if stored.record_type == "metric":
            texts["metric_key"], value = payload["metric_key"], as_float(payload["value"])
        for name, text in texts.items():
            if not isinstance(text, str):
                raise TypeError(f"{name} is {text!r}")
        for name, number in (("step", step), ("rank", envelope.get("rank")), ("attempt", envelope.get("attempt"))):
            if number is not None and type(number) is not int:
                raise TypeError(f"{name} is {number!r}")
        observed_ns, step = parse_instant(envelope["observed_at"]), _stored_step(step)
        if observed_ns not in INT64 or step not in INT64:
            raise OverflowError(f"observed_at is {envelope['observed_at']!r}, step is {payload.get('step')}")
        return StoredContent(envelope, payload, observed_ns, rank_of(envelope.get("rank")), step, value)
    except _NO_RECORD as error:
        raise _bad(stored, error) from error


def digest_of(record: capture_pb2.RecordStored) -> bytes:
    """Return what tells a record's content from another one's; its JSON is in one form."""
    return xxhash.xxh3_128_digest(record.json.encode())


def _stored_step(step: int | None) -> int:
    """Return a step in its stored form: 0 none, n > 0: n - 1, n < 0: n."""
    return 0 if step is None else step + (step >= 0)


def _bad(stored: capture_pb2.RecordStored, error: Exception) -> BadRecordError:
    return BadRecordError(f"{stored.record_type} {stored.ref}: {type(error).__name__}: {error}")
