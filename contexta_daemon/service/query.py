"""The Query service: each question waits until the catalog has what was durable when it came, and runs in a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from contexta.errors import DeadlineError
from contexta.v1 import query_pb2, query_pb2_grpc
from contexta_daemon.catalog import Catalog
from contexta_daemon.followers import Runner
from contexta_daemon.log import Log
from contexta_daemon.query import Listing, RecordFilter, RecordReader, read_series
from contexta_daemon.query.records import Cursor

Answer = TypeVar("Answer")

CATALOG_TIMEOUT_S = 30.0
THREADS = 4
PAGE_RECORDS = 1_000
READ_BYTES = 4 << 20


class QueryService(query_pb2_grpc.QueryServicer):
    """Never blocks the event loop: SQLite, the log and numpy are used in at most `THREADS` threads."""

    def __init__(self, catalog: Catalog, log: Log, runner: Runner, *, stopping: anyio.Event) -> None:
        self._catalog = catalog
        self._log = log
        self._runner = runner
        self._stopping = stopping
        self._threads = anyio.CapacityLimiter(THREADS)

    async def _caught_up(self) -> None:
        committed = self._log.committed
        if not await self._runner.wait_applied("catalog", committed, CATALOG_TIMEOUT_S):
            problem = self._runner.problem("catalog") or f"it is {self._runner.lag_bytes('catalog')} bytes behind"
            raise DeadlineError(f"The catalog has not caught up within {CATALOG_TIMEOUT_S:.0f} s: {problem}.")

    async def _list(self, answer: Callable[[Listing], Answer]) -> Answer:
        await self._caught_up()

        def look() -> Answer:
            with closing(self._catalog.connect()) as connection:
                return answer(Listing(connection))

        return await anyio.to_thread.run_sync(look, limiter=self._threads)

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
                return read_series(connection, self._log, request)

        return await anyio.to_thread.run_sync(read, limiter=self._threads)

    async def ScanRecords(self, request: Any, context: Any) -> AsyncIterator[query_pb2.RecordPage]:  # noqa: N802
        await self._caught_up()
        left = request.limit or None
        async for page in self._pages(request.filter, Cursor.unpack(request.cursor), follow=False):
            if left is not None:
                if len(page.records) > left:
                    del page.records[left:]
                left -= len(page.records)
            yield page
            if left == 0:
                return

    async def Tail(self, request: Any, context: Any) -> AsyncIterator[query_pb2.RecordPage]:  # noqa: N802
        await self._caught_up()
        start = Cursor() if request.from_start else Cursor(self._log.committed)
        async for page in self._pages(request.filter, start, follow=True):
            yield page

    async def _pages(
        self, asked: query_pb2.RecordFilter, start: Cursor, *, follow: bool
    ) -> AsyncIterator[query_pb2.RecordPage]:
        """Pages at the caller's pace: the log is read on when the last page was taken."""
        end = self._log.committed
        connection = await anyio.to_thread.run_sync(self._catalog.connect, limiter=self._threads)
        try:
            wanted = await anyio.to_thread.run_sync(RecordFilter.of, connection, asked, limiter=self._threads)
            reader = RecordReader(connection, wanted)
            at = start
            while True:
                if at.position >= end and not at.item:
                    if not follow:
                        return
                    if not await self._more(at):
                        return
                    end = self._runner.applied("catalog")
                    continue
                pages = _Pages(self._log, reader, at, end)
                page = await anyio.to_thread.run_sync(pages.next, limiter=self._threads)
                at = pages.at
                if page.records:
                    page.cursor = at.pack()
                    yield page
        finally:
            connection.close()

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


class _Pages:
    """Reads on from `at` until a page is full or a few megabytes of log were read."""

    def __init__(self, log: Log, reader: RecordReader, at: Cursor, end: Any) -> None:
        self._log = log
        self._reader = reader
        self._end = end
        self.at = at

    def next(self) -> query_pb2.RecordPage:
        page = query_pb2.RecordPage()
        read = 0
        for logged in self._log.read(self.at.position, limit_bytes=READ_BYTES):
            if logged.position >= self._end:
                break
            behind = self.at.item if logged.position == self.at.position else 0
            if self._reader.may_hold(logged.position):
                for item, record in self._records(logged, behind):
                    page.records.append(record)
                    if len(page.records) >= PAGE_RECORDS:
                        self.at = Cursor(logged.position, item)
                        return page
            self.at = Cursor(logged.end)
            read += len(logged.body)
            if read >= READ_BYTES:
                return page
        self.at = Cursor(self._end)
        return page

    def _records(self, logged: Any, behind: int) -> Iterator[tuple[int, query_pb2.Record]]:
        return self._reader.read(logged, behind=behind)
