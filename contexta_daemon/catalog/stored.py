"""Records put through the stores: their metrics are counted like captured ones, each reference once."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, NamedTuple

import xxhash

from contexta.errors import ContextaError
from contexta.v1 import capture_pb2
from contexta_daemon.batches import parse_instant

from .models import require_run
from .observations import as_float
from .tally import Tallies

_INT64 = range(-(1 << 63), 1 << 63)
_NO_RECORD = (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)


class BadRecordError(ContextaError):
    """A stored record whose JSON is not one, or with numbers that nothing holds."""

    default_code = "bad_record"


class StoredContent(NamedTuple):
    """What a stored record says. What it is counted by has the type and the size that the tables take."""

    envelope: dict[str, Any]
    payload: dict[str, Any]
    observed_ns: int
    step: int  # in its stored form
    value: float  # 0.0 where there is none


def store_record(connection: sqlite3.Connection, tallies: Tallies, stored: capture_pb2.RecordStored) -> None:
    """Apply RecordStored; the catalog then notes where it stands. Raises BadRecordError, having changed nothing."""
    if connection.execute("SELECT 1 FROM stored_records WHERE ref = ?", (stored.ref,)).fetchone():
        return  # stored again: the first one counts
    content = content_of(stored)
    try:
        run = require_run(connection, content.envelope["run_ref"], content.observed_ns)
    except _NO_RECORD as error:
        raise _bad(stored, error) from error
    if stored.record_type == "metric":
        tallies.add_stored(
            run,
            content.envelope.get("stage_execution_ref") or "",
            content.payload["metric_key"],
            content.payload.get("unit") or "",
            value=content.value,
            step=content.step,
            time_ns=content.observed_ns,
        )


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
        if stored.record_type == "metric":
            texts["metric_key"], value = payload["metric_key"], as_float(payload["value"])
        for name, text in texts.items():
            if not isinstance(text, str):
                raise TypeError(f"{name} is {text!r}")
        if step is not None and type(step) is not int:
            raise TypeError(f"step is {step!r}")
        found = StoredContent(envelope, payload, parse_instant(envelope["observed_at"]), _stored_step(step), value)
        if found.observed_ns not in _INT64 or found.step not in _INT64:
            raise OverflowError(f"observed_at is {envelope['observed_at']!r}, step is {step}")
    except _NO_RECORD as error:
        raise _bad(stored, error) from error
    return found


def digest_of(record: capture_pb2.RecordStored) -> bytes:
    """Return what tells a record's content from another one's; its JSON is in one form."""
    return xxhash.xxh3_128_digest(record.json.encode())


def _stored_step(step: int | None) -> int:
    """Return a step in its stored form: 0 none, n > 0: n - 1, n < 0: n."""
    return 0 if step is None else step + (step >= 0)


def _bad(stored: capture_pb2.RecordStored, error: Exception) -> BadRecordError:
    return BadRecordError(f"{stored.record_type} {stored.ref}: {type(error).__name__}: {error}")
