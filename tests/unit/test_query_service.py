"""The Query service without gRPC: what it waits for, and how it follows along."""

import anyio
import pytest
from logged import FakeLog, columns, key_defined, run_opened, session_opened

from contexta.errors import DeadlineError, NotFoundError
from contexta.v1 import query_pb2 as q
from contexta_daemon.catalog import Catalog
from contexta_daemon.followers import Runner
from contexta_daemon.service import caught_up
from contexta_daemon.service import query as service


class Daemon:
    """A service on a log in memory, with its followers running."""

    def __init__(self, root):
        self.log = FakeLog()
        self.log.bytes_from = lambda position: 0
        self.catalog = Catalog(root / "catalog.sqlite3")
        self.runner = Runner(self.log, [self.catalog])
        self.stopping = anyio.Event()
        self.service = service.QueryService(self.catalog, self.log, self.runner, stopping=self.stopping)

    def add(self, *args, **kwargs):
        self.log.add(*args, **kwargs)
        self.runner.committed_moved()


def running(tmp_path, play):
    """Run `play(daemon)` beside the followers; fail after a while instead of hanging."""

    async def main():
        daemon = Daemon(tmp_path)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(daemon.runner.run)
                await play(daemon)
                tasks.cancel_scope.cancel()
        daemon.catalog.close()

    anyio.run(main)


def begin(daemon):
    daemon.add(1, session_opened(), run_opened(), key_defined(1, "x"))


def test_an_answer_has_what_was_durable_when_it_was_asked_for(tmp_path):
    async def play(daemon):
        for number in range(20):
            daemon.add(number, session_opened(), run_opened(1, f"run:p.r-{number}"))
            reply = await daemon.service.ListRuns(q.ListRunsRequest(), None)
            assert reply.total == number + 1

    running(tmp_path, play)


def test_a_catalog_that_cannot_go_on_is_said_and_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(caught_up, "CATALOG_TIMEOUT_S", 0.2)

    async def play(daemon):
        def refuse(batches, end):
            raise OSError("disk gone")

        daemon.catalog.follow = refuse
        begin(daemon)
        with pytest.raises(DeadlineError, match="disk gone"):
            await daemon.service.ListRuns(q.ListRunsRequest(), None)

    running(tmp_path, play)


def test_a_scan_stops_at_its_limit_and_at_what_was_there_when_it_began(tmp_path):
    async def play(daemon):
        begin(daemon)
        daemon.add(1, columns=[columns([float(n) for n in range(2500)], series=(1, 1))])
        request = q.ScanRecordsRequest(limit=1700)
        pages = [page async for page in daemon.service.ScanRecords(request, None)]
        assert [len(page.records) for page in pages] == [1000, 700]
        rest = q.ScanRecordsRequest(cursor=pages[-1].cursor)
        numbers = [record.number async for page in daemon.service.ScanRecords(rest, None) for record in page.records]
        assert numbers == list(range(1700, 2500))

    running(tmp_path, play)


def test_tail_gives_records_as_they_become_durable_and_ends_with_the_daemon(tmp_path):
    async def play(daemon):
        begin(daemon)
        daemon.add(1, columns=[columns([1.0], series=(1, 1))])
        seen, waiting = [], []
        happened = anyio.Event()

        def happen():
            nonlocal happened
            before, happened = happened, anyio.Event()
            before.set()

        async def until(holds):
            while not holds():
                await happened.wait()

        real = daemon.service._more

        async def more(at):
            waiting.append(at)
            happen()
            return await real(at)

        daemon.service._more = more

        async def follow(from_start):
            async for page in daemon.service.Tail(q.TailRequest(from_start=from_start), None):
                seen.extend((from_start, record.number) for record in page.records)
                happen()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow, True)
            tasks.start_soon(follow, False)
            await until(lambda: len(waiting) == 2)  # both have read what there was
            for value in (2.0, 3.0):
                daemon.add(1, columns=[columns([value], series=(1, 1))])
                await until(lambda value=value: {(True, value), (False, value)} <= set(seen))
            daemon.stopping.set()
        assert sorted(seen) == [(False, 2.0), (False, 3.0), (True, 1.0), (True, 2.0), (True, 3.0)]

    running(tmp_path, play)


@pytest.mark.parametrize(("attempt", "numbers"), [(0, [2.0, 3.0, 5.0, 6.0]), (1, [1.0]), (2, [2.0, 5.0])])
def test_tail_of_a_run_goes_on_with_the_attempts_that_come_after_its_newest(tmp_path, attempt, numbers):
    def captured(daemon, session, value):
        daemon.add(session, columns=[columns([value], series=(1, 1))])

    async def play(daemon):
        for session in (1, 2):
            daemon.add(session, session_opened(), run_opened(), key_defined(1, "x"))
            captured(daemon, session, float(session))
        asked = q.RecordFilter(run_id="run:p.r", attempt=attempt)
        request = q.TailRequest(filter=asked, from_start=True)
        found, numbers_found = anyio.create_memory_object_stream[float](100)

        async def follow():
            async for page in daemon.service.Tail(request, None):
                for record in page.records:
                    await found.send(record.number)

        real, waits = daemon.service._more, anyio.Event()

        async def more(at):
            waits.set()
            return await real(at)

        daemon.service._more = more
        async with found, numbers_found, anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await waits.wait()  # it has read what there was
            daemon.add(3, session_opened(), run_opened(), key_defined(1, "x"))
            daemon.add(4, session_opened(), run_opened(ref="run:p.other"), key_defined(1, "x"))
            for session, value in ((3, 3.0), (4, 4.0), (2, 5.0), (3, 6.0)):
                captured(daemon, session, value)
            assert [await numbers_found.receive() for _ in numbers] == numbers
            daemon.stopping.set()

    running(tmp_path, play)


def test_a_run_that_is_not_there_ends_a_stream_with_what_is_nearest(tmp_path):
    async def play(daemon):
        begin(daemon)
        request = q.ScanRecordsRequest(filter=q.RecordFilter(run_id="run:p.rr"))
        with pytest.raises(NotFoundError, match=r"run:p\.r"):
            async for _ in daemon.service.ScanRecords(request, None):
                pass

    running(tmp_path, play)
