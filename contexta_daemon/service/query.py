"""The Query service: each question waits until the catalog has what was durable when it came, and runs in a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from contexta.errors import ValidationError
from contexta.v1 import query_pb2, query_pb2_grpc
from contexta_daemon.catalog import Catalog
from contexta_daemon.followers import Runner
from contexta_daemon.log import Log, Position
from contexta_daemon.query import PAGE_RECORDS, Cursor, Listing, Pages, RecordFilter, read_series
from contexta_daemon.query.thinking import Place, Thinkers

from .caught_up import CatalogWait

Answer = TypeVar("Answer")

THREADS = 4
LOG_MARK_BYTES = 4  # at the end of a cursor: which store it is of
SQL_MAX_ROWS = 1_000_000
COLUMNS_TIMEOUT_S = 30.0
SQL_DEADLINE_S = 600.0


class QueryService(query_pb2_grpc.QueryServicer):
    """Never blocks the event loop: SQLite, the log and numpy are used in at most `THREADS` threads."""

    def __init__(
        self,
        catalog: Catalog,
        log: Log,
        runner: Runner,
        *,
        stopping: anyio.Event,
        expected_terminal_stages: Sequence[str] = (),
        columns: Path | None = None,
        flush_columns: Callable[[], object] = lambda: None,
        sql_spill: Path | None = None,
    ) -> None:
        """columns: their folder. flush_columns: writes, in a thread, what is followed but in no file yet.

        sql_spill: the folder for what a statement's memory does not hold.
        """
        self._catalog = catalog
        self._log = log
        self._runner = runner
        self._columns = columns
        self._flush_columns = flush_columns
        self._sql_spill = sql_spill
        self._stopping = stopping
        self._expected_terminal_stages = tuple(expected_terminal_stages)
        self._caught_up = CatalogWait(log, runner)
        self._thinkers = Thinkers()
        self._threads = anyio.CapacityLimiter(THREADS)

    async def _list(self, answer: Callable[[Listing], Answer]) -> Answer:
        await self._caught_up()

        def look() -> Answer:
            with closing(self._catalog.connect()) as connection:
                return answer(Listing(connection))

        return await anyio.to_thread.run_sync(look, limiter=self._threads)

    async def _think(self, method: str, request: Any) -> bytes:
        """Ask a process that thinks. Its answer is passed on as it is: bytes of the reply."""
        return await self._thinkers.ask(method, request.SerializeToString(), await self._place())

    async def Sql(self, request: Any, context: Any) -> AsyncIterator[query_pb2.SqlPage]:  # noqa: N802
        left_s = context.time_remaining()
        place = await self._place()
        if self._columns is not None:
            await self._write_columns(Position(place.segment, place.offset))
        pages = await self._thinkers.sql(
            request.text,
            place,
            max_rows=request.max_rows or SQL_MAX_ROWS,
            deadline_s=min(SQL_DEADLINE_S, SQL_DEADLINE_S if left_s is None else left_s),
        )
        for page in pages:
            yield query_pb2.SqlPage.FromString(page)

    async def _write_columns(self, end: Position) -> None:
        await self._runner.wait_applied("columns", end, COLUMNS_TIMEOUT_S)
        try:
            await anyio.to_thread.run_sync(self._flush_columns)
        except Exception:
            self._runner.call("columns")  # else nothing is collected again before the log grows
            raise

    async def _place(self) -> Place:
        end = await self._caught_up()
        return Place(
            str(self._catalog.path),
            str(self._log.path),
            str(self._columns or ""),
            end.segment,
            end.offset,
            self._expected_terminal_stages,
            str(self._sql_spill or ""),
        )

    async def ListProjects(self, request: Any, context: Any) -> query_pb2.ListProjectsResponse:  # noqa: N802
        return await self._list(lambda listing: listing.projects())

    async def ListRuns(self, request: Any, context: Any) -> query_pb2.ListRunsResponse:  # noqa: N802
        return await self._list(lambda listing: listing.runs(request))

    async def ListStages(self, request: Any, context: Any) -> query_pb2.ListStagesResponse:  # noqa: N802
        return await self._list(lambda listing: listing.stages(request))

    async def ListBatches(self, request: Any, context: Any) -> query_pb2.ListBatchesResponse:  # noqa: N802
        return await self._list(lambda listing: listing.batches(request))

    async def ListSamples(self, request: Any, context: Any) -> query_pb2.ListSamplesResponse:  # noqa: N802
        return await self._list(lambda listing: listing.samples(request))

    async def ListDeployments(self, request: Any, context: Any) -> query_pb2.ListDeploymentsResponse:  # noqa: N802
        return await self._list(lambda listing: listing.deployments(request))

    async def ListArtifacts(self, request: Any, context: Any) -> query_pb2.ListArtifactsResponse:  # noqa: N802
        return await self._list(lambda listing: listing.artifacts(request))

    async def ListWorkers(self, request: Any, context: Any) -> query_pb2.ListWorkersResponse:  # noqa: N802
        return await self._list(lambda listing: listing.workers(request))

    async def GetEnvironment(self, request: Any, context: Any) -> query_pb2.GetEnvironmentResponse:  # noqa: N802
        return await self._list(lambda listing: listing.environment(request))

    async def GetStepSeries(self, request: Any, context: Any) -> query_pb2.GetStepSeriesResponse:  # noqa: N802
        await self._caught_up()

        def read() -> query_pb2.GetStepSeriesResponse:
            with closing(self._catalog.connect()) as connection:
                return read_series(connection, self._log, request, columns=self._columns)

        return await anyio.to_thread.run_sync(read, limiter=self._threads)

    async def ScanRecords(self, request: Any, context: Any) -> AsyncIterator[query_pb2.RecordPage]:  # noqa: N802
        start, end = self._cursor(request.cursor), self._log.committed
        await self._caught_up()
        left = request.limit or None
        connection, pages = await self._open(request.filter, start)
        try:
            while pages.at.position < end and left != 0:
                page = await self._next(pages, end, PAGE_RECORDS if left is None else min(left, PAGE_RECORDS))
                if left is not None:
                    left -= len(page.records)
                if page.records:
                    yield page
        finally:
            connection.close()

    async def Tail(self, request: Any, context: Any) -> AsyncIterator[query_pb2.RecordPage]:  # noqa: N802
        start = Cursor() if request.from_start else Cursor(self._log.committed)
        await self._caught_up()
        connection, pages = await self._open(request.filter, start, following=True)
        try:
            while True:
                end = self._runner.applied("catalog")
                if pages.at.position < end:
                    page = await self._next(pages, end, PAGE_RECORDS)
                    if page.records:
                        yield page  # waits until the caller takes it: the log is read at the caller's pace
                elif not await self._more(pages.at):
                    return
        finally:
            connection.close()

    def _cursor(self, data: bytes) -> Cursor:
        """Raises ValidationError for a cursor that no page of this store gave."""
        cut = max(len(data) - LOG_MARK_BYTES, 0)
        if data and data[cut:] != self._log.id[:LOG_MARK_BYTES]:
            raise ValidationError(
                "The cursor is of another store, or no cursor: begin without one.", code="cursor_invalid"
            )
        return Cursor.unpack(data[:cut])

    async def _open(
        self, asked: query_pb2.RecordFilter, start: Cursor, *, following: bool = False
    ) -> tuple[sqlite3.Connection, Pages]:
        def look_up() -> tuple[sqlite3.Connection, Pages]:
            connection = self._catalog.connect()
            try:
                wanted = RecordFilter.of(connection, asked, following=following)
                return connection, Pages(self._log, connection, wanted, start)
            except BaseException:
                connection.close()
                raise

        return await anyio.to_thread.run_sync(look_up, limiter=self._threads)

    async def _next(self, pages: Pages, end: Position, limit: int) -> query_pb2.RecordPage:
        page = await anyio.to_thread.run_sync(lambda: pages.next(end, limit=limit), limiter=self._threads)
        page.cursor += self._log.id[:LOG_MARK_BYTES]
        return page

    async def _more(self, at: Cursor) -> bool:
        """Wait until the catalog has applied more than what was read; False when the daemon ends."""
        ended = False

        async def stop(scope: anyio.CancelScope) -> None:
            nonlocal ended
            await self._stopping.wait()
            ended = True
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop, tasks.cancel_scope)
            await self._runner.wait_moved("catalog", at.position)
            tasks.cancel_scope.cancel()
        return not ended


def _thinking(method: str, reply: Any) -> Callable[[QueryService, Any, Any], Awaitable[Any]]:
    async def handle(self: QueryService, request: Any, context: Any) -> Any:
        return reply.FromString(await self._think(method, request))

    return handle


for _method, _reply in {
    "ListSeries": query_pb2.ListSeriesResponse,
    "CountRecords": query_pb2.CountRecordsResponse,
    "GetRunSnapshot": query_pb2.RunSnapshot,
    "GetProvenance": query_pb2.ProvenanceResponse,
    "GetArtifactOrigin": query_pb2.ArtifactOrigin,
    "CompareRuns": query_pb2.RunComparison,
    "CompareMultipleRuns": query_pb2.MultiRunComparison,
    "SelectBestRun": query_pb2.SelectBestRunResponse,
    "DiagnoseRun": query_pb2.DiagnosticsResult,
    "FindStragglers": query_pb2.StragglerReport,
    "TraverseLineage": query_pb2.LineageTraversal,
    "AuditReproducibility": query_pb2.ReproducibilityAudit,
    "CompareEnvironments": query_pb2.EnvironmentDiff,
    "GetTrend": query_pb2.Trend,
    "Aggregate": query_pb2.AggregateResponse,
    "GetStatusDistribution": query_pb2.StatusDistribution,
    "DetectAnomalies": query_pb2.DetectAnomaliesResponse,
    "EvaluateAlerts": query_pb2.AlertReport,
    "SearchRuns": query_pb2.ListRunsResponse,
    "SearchArtifacts": query_pb2.ListArtifactsResponse,
    "BuildReport": query_pb2.ReportDocument,
    "RenderReport": query_pb2.RenderedReport,
}.items():
    setattr(QueryService, _method, _thinking(_method, _reply))
