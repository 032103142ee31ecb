"""Records put through the stores: their metrics are counted like captured ones, each reference once."""

from __future__ import annotations

import json
import sqlite3

import xxhash

from contexta.errors import ContextaError
from contexta.v1 import capture_pb2
from contexta_daemon.batches import parse_instant

from .models import require_run
from .observations import as_float
from .tally import Tallies


class BadRecordError(ContextaError):
    """A stored record whose JSON is not one."""

    default_code = "bad_record"


def store_record(connection: sqlite3.Connection, tallies: Tallies, stored: capture_pb2.RecordStored) -> None:
    """Apply RecordStored; the catalog then notes where it stands. Raises BadRecordError."""
    if connection.execute("SELECT 1 FROM stored_records WHERE ref = ?", (stored.ref,)).fetchone():
        return  # stored again: the first one counts
    try:
        content = json.loads(stored.json)
        envelope, payload = content["envelope"], content["payload"]
        observed_ns = parse_instant(envelope["observed_at"])
        run = require_run(connection, envelope["run_ref"], observed_ns)
        if stored.record_type == "metric":
            tallies.add_stored(
                run,
                envelope.get("stage_execution_ref") or "",
                payload["metric_key"],
                payload.get("unit") or "",
                value=as_float(payload["value"]),
                step=stored_step(payload.get("step")),
                time_ns=observed_ns,
            )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise BadRecordError(f"{stored.record_type} {stored.ref}: {type(error).__name__}: {error}") from error


def digest_of(record: capture_pb2.RecordStored) -> bytes:
    """Return what tells a record's content from another one's; its JSON is in one form."""
    return xxhash.xxh3_128_digest(record.json.encode())


def stored_step(step: int | None) -> int:
    """Return a step in its stored form: 0 none, n > 0: n - 1, n < 0: n."""
    return 0 if step is None else step + (step >= 0)
