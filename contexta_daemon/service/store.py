"""The Store service: what programs put and get themselves. Every model is checked by the contract before it is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread

from contexta.contract import Model
from contexta.contract.serialization import deserialize, deserialize_record
from contexta.errors import ValidationError
from contexta.v1 import capture_pb2, store_pb2, store_pb2_grpc
from contexta_daemon.catalog import Catalog
from contexta_daemon.columns import chain_in, damaged
from contexta_daemon.ingest.puts import Puts
from contexta_daemon.log import Log, LoggedBatch, Position
from contexta_daemon.query.models import PAGE_MODELS, get_model, list_models

from .bounds import check_bounds
from .caught_up import CatalogWait

Answer = TypeVar("Answer")

MAX_ITEMS = 50_000  # in one call
CHECK_BYTES = 8 << 20
MAX_PROBLEMS = 100


class StoreService(store_pb2_grpc.StoreServicer):
    """Checks and reads in threads; what is put becomes durable through `Puts`."""

    def __init__(self, catalog: Catalog, log: Log, puts: Puts, wait: CatalogWait, columns: Path) -> None:
        """`columns`: their folder."""
        self._catalog = catalog
        self._columns = columns
        self._log = log
        self._puts = puts
        self._wait = wait

    async def PutModels(self, request: Any, context: Any) -> store_pb2.PutModelsResponse:  # noqa: N802
        models = await _checked(request.models, _model)
        if models:
            await self._puts.put_models(models)
        return store_pb2.PutModelsResponse(count=len(models))

    async def PutRecords(self, request: Any, context: Any) -> store_pb2.PutRecordsResponse:  # noqa: N802
        records = await _checked(request.records, _record)
        known = await self._puts.put_records(records) if records else set()
        seen: set[str] = set()
        receipts = []
        for each in records:
            receipts.append(store_pb2.RecordReceipt(record_ref=each.ref, duplicate=each.ref in known | seen))
            seen.add(each.ref)
        return store_pb2.PutRecordsResponse(receipts=receipts)

    async def GetModel(self, request: Any, context: Any) -> store_pb2.GetModelResponse:  # noqa: N802
        await self._wait()

        def look() -> store_pb2.GetModelResponse:
            with closing(self._catalog.connect()) as connection:
                return store_pb2.GetModelResponse(model=get_model(connection, request.model, request.ref))

        return await anyio.to_thread.run_sync(look)

    async def ListModels(self, request: Any, context: Any) -> AsyncIterator[store_pb2.ModelPage]:  # noqa: N802
        await self._wait()
        connection = await anyio.to_thread.run_sync(self._catalog.connect)
        try:
            models = list_models(connection, request.model, request.parent_ref)
            while page := await anyio.to_thread.run_sync(lambda: list(islice(models, PAGE_MODELS))):
                yield store_pb2.ModelPage(models=page)
        finally:
            connection.close()

    async def CheckIntegrity(self, request: Any, context: Any) -> store_pb2.IntegrityReport:  # noqa: N802
        report, at, end = store_pb2.IntegrityReport(), Position(0, 0), self._log.committed
        segments: set[int] = set()
        damaged = self._log.damaged_frames
        while at < end:
            batches, at = await anyio.to_thread.run_sync(self._read_some, at)
            for batch in batches:
                segments.add(batch.position.segment)
                report.batches += 1
                report.items += batch.envelope.count
                report.bytes += batch.end.offset - batch.position.offset
        report.segments = len(segments)
        found = self._log.damaged_frames
        if found:
            report.problems.append(f"{found} damaged frames ({found - damaged} found by this check); see the log file")
        report.problems.extend(await anyio.to_thread.run_sync(self._set_aside))
        report.problems.extend(await anyio.to_thread.run_sync(self._damaged_columns))
        report.intact = not report.problems
        return report

    def _read_some(self, at: Position) -> tuple[list[LoggedBatch], Position]:
        return self._log.read_some(at, limit_bytes=CHECK_BYTES)

    def _damaged_columns(self) -> list[str]:
        names = [file.name for file in damaged(self._columns, chain_in(self._columns))]
        return [f"{name} of the columns is damaged; it is made again when the daemon starts next" for name in names]

    def _set_aside(self) -> list[str]:
        with closing(self._catalog.connect()) as connection:
            rows = connection.execute("SELECT segment, offset, item, reason FROM set_aside LIMIT ?", (MAX_PROBLEMS,))
            return [f"segment {row[0]}, offset {row[1]}, item {row[2]}: {row[3]}" for row in rows]


Item = TypeVar("Item", capture_pb2.ModelStored, capture_pb2.RecordStored)


async def _checked(items: Sequence[Item], check: Callable[[Item], Item]) -> list[Item]:
    if len(items) > MAX_ITEMS:
        raise ValidationError(f"{len(items)} things were put at once; put at most {MAX_ITEMS} in a call.",
                              code="batch_too_large")  # fmt: skip
    return await anyio.to_thread.run_sync(lambda: [check(each) for each in items])


def _model(stored: capture_pb2.ModelStored) -> capture_pb2.ModelStored:
    model: Model = deserialize(stored.model, stored.json)
    if type(model).__name__.endswith("Record") and not model.ref.startswith("provenance:"):
        raise ValidationError(f"{stored.model} is a record: put it with PutRecords.", code="model_unknown")
    check_bounds(model.to_dict())
    return capture_pb2.ModelStored(model=stored.model, ref=model.ref, json=model.to_json())


def _record(stored: capture_pb2.RecordStored) -> capture_pb2.RecordStored:
    record = deserialize_record(stored.json)
    envelope, fields = record.envelope, record.to_dict()
    check_bounds(fields["envelope"])
    check_bounds(fields["payload"])
    return capture_pb2.RecordStored(ref=envelope.record_ref, record_type=envelope.record_type, json=record.to_json())
