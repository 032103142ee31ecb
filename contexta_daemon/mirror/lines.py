"""A logged batch -> the lines of record.jsonl and artifact.jsonl. No I/O, but for names looked up in the catalog.

A metric line costs about a microsecond: everything that does not change within a series is a template made once, and
times and values are turned to text for all rows at once.

What stands in the files: each metric, event and span (family RECORD), each degraded record (family DEGRADATION, in
record.jsonl), each artifact once its hash is known or cannot be (family ARTIFACT). Scopes and other context stand in
each record's envelope, and have no lines of their own.
"""

from __future__ import annotations

import json
import math
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from contexta.contract.json_text import dumps
from contexta.v1 import capture_pb2
from contexta_daemon.batches import BadBatchError, Rows, decode, decode_step, format_ns, format_ns_array
from contexta_daemon.catalog import Key, Names, Scope, Session
from contexta_daemon.catalog.observations import (
    PAYLOAD_TYPES,
    PRODUCER,
    Observer,
    binding_status,
    envelope,
    from_json,
    metric_payload,
    present,
    record_ref,
    whole_number,
)
from contexta_daemon.log import LoggedBatch

from .files import ARTIFACT, RECORD

SINK_NAME = "local-jsonl"
_REMEMBERED_TEMPLATES = 20_000
_REMEMBERED_BYTES = 16 << 20  # of templates
CHUNK_ITEMS = 1_024  # turned to text together: as much as the processor's cache holds
CHUNK_BYTES = 4 << 20  # of lines that are made together, where one alone is not larger
# Stand-ins for what differs from line to line. Random, so that no text of a user can be one.
_TIME, _REF, _VALUE, _CUT = (secrets.token_hex(16) for _ in range(4))


Text = tuple[str, bytes]  # (one of RECORD and ARTIFACT, whole lines)


class LineWriter:
    """Makes the lines of batches that the catalog has applied. For one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names = Names(connection)
        self._observer = Observer(connection, self._names)
        self._templates: dict[tuple[int, int, int], _Template] = {}
        self._templates_bytes = 0
        self.skipped = 0  # items whose ids were never defined, or that cannot be decoded: the catalog notes them

    def lines(self, logged: LoggedBatch) -> Iterator[Text]:
        """Give the lines of a batch, in the order of its items, a few megabytes at a time."""
        session = self._names.session(logged.envelope.session_id)
        if session is None:
            self.skipped += logged.envelope.count
            return
        try:
            batch = decode(logged)
        except BadBatchError:
            self.skipped += logged.envelope.count
            return
        first = logged.envelope.first_sequence
        yield from self._entries(session, batch.entries, first)
        for columns in batch.columns:
            for at in range(0, columns.items, CHUNK_ITEMS):
                part = slice(at, at + CHUNK_ITEMS)
                yield from self._metrics(
                    session,
                    columns.series[part],
                    columns.value[part],
                    columns.step[part],
                    columns.time_ns[part],
                    first + columns.first_item + at,
                )
        for rows in batch.rows:
            yield from self._rows(session, rows, first + rows.first_item)

    def _entries(self, session: Session, entries: Sequence[capture_pb2.Entry], first: int) -> Iterator[Text]:
        lines: list[Text] = []
        size = 0
        for item, entry in enumerate(entries):
            before = len(lines)
            self._entry(session, entry, first + item, lines)
            size += sum(len(text) for _, text in lines[before:])
            if size >= CHUNK_BYTES:
                yield from _joined(lines)
                lines, size = [], 0
        yield from _joined(lines)

    def _rows(self, session: Session, rows: Rows, first: int) -> Iterator[Text]:
        key_ids = self._names.group(session.id, rows.group_id)
        if key_ids is None or len(key_ids) != len(rows.value):
            self.skipped += rows.items
            return
        for at in range(0, rows.items, CHUNK_ITEMS):
            row, key = np.divmod(np.arange(at, min(at + CHUNK_ITEMS, rows.items)), len(key_ids))
            yield from self._metrics(
                session,
                (rows.scope_id[row] << np.uint64(32)) | key_ids[key].astype(np.uint64),
                rows.value[key, row],
                rows.step[row],
                rows.time_ns[row],
                first + at,
            )

    def _metrics(
        self,
        session: Session,
        series: npt.NDArray[np.uint64],
        value: npt.NDArray[np.float64],
        step: npt.NDArray[np.int64],
        time_ns: npt.NDArray[np.int64],
        first: int,
    ) -> Iterator[Text]:
        distinct, place = np.unique(series, return_inverse=True)
        place = place.reshape(-1)
        templates = self._templates_of(session, distinct.tolist(), np.bincount(place).tolist())
        if templates is None:
            half = len(series) // 2
            for part, at in ((slice(half), first), (slice(half, None), first + half)):
                yield from self._metrics(session, series[part], value[part], step[part], time_ns[part], at)
            return
        sequence = np.arange(first, first + len(series))
        known = np.array([template is not None for template in templates], dtype=bool)
        if not known.all():
            kept = np.flatnonzero(known[place])
            self.skipped += len(place) - len(kept)
            place, value, step = place[kept], value[kept], step[kept]
            time_ns, sequence = time_ns[kept], sequence[kept]
        if not len(place):
            return
        steps, has_step = decode_step(step)
        numbers = " ".join([f"{number:x}" for number in sequence.tolist()]).encode().split(b" ")
        times, step_texts = format_ns_array(time_ns), msgspec.json.encode(steps.tolist())[1:-1].split(b",")
        value_texts = _value_texts(value)
        for index, template in enumerate(templates):
            if template is not None and template.value_type != "float64":
                for row in np.flatnonzero(place == index).tolist():
                    value_texts[row] = _exact_text(float(value[row]), template.value_type)
        if not has_step.all():
            for row in np.flatnonzero(~has_step).tolist():
                step_texts[row] = b""
        # Each line is its template's pieces with the row's texts between them; all are joined in one go.
        variants = _variants(templates)
        of_row = (place * 2 + has_step).tolist()
        one = variants[of_row[0]] if of_row.count(of_row[0]) == len(of_row) else None
        between = (times, numbers, numbers, times, times, value_texts, step_texts)
        parts: list[bytes] = [b""] * (len(of_row) * _COLUMNS)
        for column in range(_PIECES):
            if one is not None:
                parts[2 * column :: _COLUMNS] = [one[column]] * len(of_row)
            else:
                of_variant = [pieces[column] for pieces in variants]
                parts[2 * column :: _COLUMNS] = map(of_variant.__getitem__, of_row)
        for column, texts in enumerate(between):
            parts[2 * column + 1 :: _COLUMNS] = texts
        yield RECORD, b"".join(parts)

    def _templates_of(
        self, session: Session, distinct: Sequence[int], counts: Sequence[int]
    ) -> list[_Template | None] | None:
        """Return the template of each series; None when `counts` lines of them would be too large together."""
        templates: list[_Template | None] = []
        size = 0
        for series, count in zip(distinct, counts, strict=True):
            template = self._template(session, series >> 32, series & 0xFFFF_FFFF)
            templates.append(template)
            size += count * template.size_bytes if template is not None else 0
            if size > CHUNK_BYTES and (count > 1 or len(distinct) > 1):
                return None
        return templates

    def _template(self, session: Session, scope_id: int, key_id: int) -> _Template | None:
        known = self._templates.get((session.id, scope_id, key_id))
        if known is None:
            scope, key = self._names.scope(session.id, scope_id), self._names.key(session.id, key_id)
            if scope is None or key is None:
                return None
            known = _make_template(session, scope, key)
            self._templates_bytes += known.size_bytes
            if len(self._templates) >= _REMEMBERED_TEMPLATES or self._templates_bytes > _REMEMBERED_BYTES:
                self._templates.clear()
                self._templates_bytes = known.size_bytes
            self._templates[session.id, scope_id, key_id] = known
        return known

    def _entry(self, session: Session, entry: capture_pb2.Entry, sequence: int, lines: list[Text]) -> None:
        kind = entry.WhichOneof("kind")
        if kind == "wide_metric":
            self._wide_metric(session, entry, sequence, lines)
        elif kind == "record_stored":
            _stored_record(entry, lines)
        elif kind == "artifact_registered":
            made = entry.artifact_registered
            if not (made.exists and made.compute_hash):  # else its line is written when its hash comes
                self._artifact(session, made, entry.time_ns, lines)
        else:
            if kind == "artifact_hashed":
                hashed = entry.artifact_hashed
                registered_by = self._names.session(hashed.session_id)
                if registered_by is not None:
                    self._artifact(registered_by, hashed, entry.time_ns, lines)
            seen = self._observer.observe(session, entry, sequence)
            if seen is not None:
                payload = {"envelope": seen.envelope(), "payload": seen.payload}
                family = "DEGRADATION" if seen.record_type == "degraded" else "RECORD"
                kind_name = PAYLOAD_TYPES[seen.record_type]
                lines.append((RECORD, _line(seen.time_ns, family, kind_name, seen.record_ref, payload)))

    def _wide_metric(self, session: Session, entry: capture_pb2.Entry, sequence: int, lines: list[Text]) -> None:
        metric = entry.wide_metric
        scope, key = self._names.scope(session.id, metric.scope_id), self._names.key(session.id, metric.key_id)
        value = whole_number(metric.value)
        if scope is None or key is None or value is None:
            self.skipped += 1
            return
        template = _make_template(session, scope, key)
        pieces = template.with_step if metric.step else template.without_step
        at, number = format_ns(entry.time_ns).encode(), b"%x" % sequence
        step = b"%d" % (metric.step - (metric.step > 0)) if metric.step else b""
        between = (at, number, number, at, at, b"%d" % value, step, b"")
        text = b"".join(part for pair in zip(pieces, between, strict=True) for part in pair)
        lines.append((RECORD, text))

    def _artifact(
        self,
        session: Session,
        told: capture_pb2.ArtifactRegistered | capture_pb2.ArtifactHashed,
        time_ns: int,
        lines: list[Text],
    ) -> None:
        row = self._connection.execute(
            "SELECT ref, kind, created_at, run_ref, location, deployment_ref, stage_ref, batch_ref, sample_ref, "
            "operation_ref, hash_value, size_bytes, attributes_json, present, problem, detail, stored_path "
            "FROM artifacts WHERE id = ?",
            (self._names.artifact(session.id, told.ref, told.scope_id),),
        ).fetchone()
        if row is None:
            self.skipped += 1
            return
        lines.append((ARTIFACT, _line(time_ns, "ARTIFACT", "ArtifactManifest", told.ref, artifact_payload(row))))


_PIECES = 8
_COLUMNS = 2 * _PIECES - 1
_AFTER_STEP = b"}}}\n"


@dataclass(frozen=True, slots=True)
class _Template:
    """What stands before captured_at, the sequence (twice), recorded_at, observed_at, the value and the step, and what
    stands behind; the step's own text is empty where there is none."""

    without_step: tuple[bytes, ...]
    with_step: tuple[bytes, ...]
    value_type: str
    size_bytes: int


def _variants(templates: list[_Template | None]) -> list[tuple[bytes, ...]]:
    """Pieces of each template without and with a step, in turn; those of none are never used."""
    none = ((b"",) * _PIECES,) * 2
    return [pieces for t in templates for pieces in (none if t is None else (t.without_step, t.with_step))]


def _make_template(session: Session, scope: Scope, key: Key) -> _Template:
    """Write the line with stand-ins once, and cut it there.

    The reference comes twice, in payload_ref and in the envelope, with the sequence as its hexadecimal end.
    """
    fields = envelope(_REF, "metric", _TIME, session, scope)
    payload = metric_payload(key, 0, None) | {"value": _VALUE}
    line = {
        "captured_at": _TIME,
        "sink_name": SINK_NAME,
        "family": "RECORD",
        "payload_type": "MetricRecord",
        "payload_ref": _REF,
        "payload": {"envelope": fields, "payload": payload},
    }
    text = dumps(line) + "\n"
    ref = record_ref(session, scope, "metric", 0).removesuffix("0")
    for mark, shown in ((_TIME, f'"{_CUT}"'), (_REF, f'"{ref}{_CUT}"'), (_VALUE, _CUT)):
        text = text.replace(json.dumps(mark), shown)
    parts = tuple(text.encode().split(_CUT.encode()))
    assert len(parts) == _PIECES - 1, text
    tail = parts[-1].removesuffix(_AFTER_STEP)
    return _Template(
        (*parts[:-1], tail, _AFTER_STEP),
        (*parts[:-1], tail + b',"step":', _AFTER_STEP),
        key.value_type,
        sum(map(len, parts)),
    )


def _value_texts(value: npt.NDArray[np.float64]) -> list[bytes]:
    """JSON of each value, the shortest that reads back bit-exact; NaN and infinities as texts."""
    texts = msgspec.json.encode(value.tolist())[1:-1].split(b",")
    for row in np.flatnonzero(~np.isfinite(value)).tolist():
        texts[row] = f'"{_non_finite(float(value[row]))}"'.encode()
    return texts


def _exact_text(value: float, value_type: str) -> bytes:
    if not math.isfinite(value):
        return f'"{_non_finite(value)}"'.encode()
    if value_type == "bool" and value in (0.0, 1.0):
        return b"true" if value else b"false"
    return b"%d" % int(value) if value_type == "int64" and value.is_integer() else repr(value).encode()


def _non_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _line(time_ns: int, family: str, payload_type: str, ref: str, payload: dict[str, Any]) -> bytes:
    line = {
        "captured_at": format_ns(time_ns),
        "sink_name": SINK_NAME,
        "family": family,
        "payload_type": payload_type,
        "payload_ref": ref,
        "payload": payload,
    }
    return (dumps(line) + "\n").encode()



def artifact_payload(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return binding_status, manifest and source of an artifact's line, from its row of the catalog."""
    (ref, kind, created_at, run_ref, location, deployment_ref, stage_ref, batch_ref, sample_ref, operation_ref,
     hash_value, size_bytes, attributes_json, registered_there, problem, detail, stored_path) = row  # fmt: skip
    manifest = present(
        {
            "artifact_ref": ref,
            "artifact_kind": kind,
            "created_at": created_at,
            "producer_ref": PRODUCER,
            "run_ref": run_ref,
            "location_ref": location,
            "deployment_execution_ref": deployment_ref,
            "stage_execution_ref": stage_ref,
            "batch_execution_ref": batch_ref,
            "sample_observation_ref": sample_ref,
            "operation_context_ref": operation_ref,
            "hash_value": hash_value,
            "size_bytes": size_bytes,
            "attributes": from_json(attributes_json),
            "schema_version": "1.0.0",
        }
    )
    source = {
        "exists": bool(registered_there) and problem != "missing",
        "kind": "PATH",
        "uri": location.removeprefix("path:"),
    }
    return present(
        {
            "binding_status": binding_status(bool(registered_there), problem),
            "manifest": manifest,
            "source": source,
            "problem": problem,
            "detail": detail,
            "stored_path": stored_path,
        }
    )


def _joined(lines: list[Text]) -> Iterator[Text]:
    """The lines of each file as one text."""
    for name in (RECORD, ARTIFACT):
        yield name, b"".join(text for kind, text in lines if kind == name)


def _stored_record(entry: capture_pb2.Entry, lines: list[Text]) -> None:
    """A canonical record put through the store: its own JSON, on one line."""
    stored = entry.record_stored
    payload = from_json(stored.json)
    if isinstance(payload, dict):
        family = "DEGRADATION" if stored.record_type == "degraded" else "RECORD"
        kind = PAYLOAD_TYPES.get(stored.record_type, "MetricRecord")
        lines.append((RECORD, _line(entry.time_ns, family, kind, stored.ref, payload)))
