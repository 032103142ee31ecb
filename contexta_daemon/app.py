"""The daemon: everything is made and wired here, served until it is told to end, and ended in order."""

from __future__ import annotations

import logging
import logging.handlers
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from contexta._file_limit import raise_file_limit
from contexta._log_lines import LINE, PlainFormatter, log_level
from contexta._priority import give_way
from contexta._version import PROTOCOL_MAX, PROTOCOL_MIN, __version__
from contexta.config import UnifiedConfig, load_config
from contexta.errors import ContextaError
from contexta.v1 import (
    capture_pb2,
    query_pb2,
    query_pb2_grpc,
    status_pb2,
    status_pb2_grpc,
    store_pb2,
    store_pb2_grpc,
)

from .artifacts import Hasher, remove_incoming
from .catalog import Catalog
from .columns import Columns, Dropper, fetcher
from .followers import Follower, Runner
from .freed_memory import FreedMemory
from .ingest.admission import Admission
from .ingest.internal import InternalSession
from .ingest.puts import Puts
from .ingest.writer import Writer
from .log import Log, LogError, remove_unfinished
from .mirror import Mirror
from .query import SessionsOfCatalog
from .service.capture import CaptureService, WorkerReports
from .service.caught_up import CatalogWait
from .service.errors import Activity, Gatekeeper
from .service.query import QueryService
from .service.status import Place, StatusService
from .service.store import StoreService
from .tenancy import DaemonRecord, Tenancy
from .terminal_lines import TerminalLines

_log = logging.getLogger("contexta.daemon")

MAX_MESSAGE_BYTES = 16 << 20
MAX_ANSWER_BYTES = 264 << 20  # a series comes in one answer of at most 256 MiB
MAX_CALLS = 100  # at once on one connection; a client's further ones wait for their turn
WATCH_S = 1.0
DRAIN_S = 5.0
LOG_FILE_BYTES = 4 << 20
SQL_SPILL = "sql"


def run(tenancy: Tenancy, patch: Mapping[str, Any], *, to_terminal: bool) -> int:
    """Serve a workspace until told to end. Returns the exit status: 0, or 1 when it cannot serve."""
    _start_logging(tenancy.log_file, to_terminal=to_terminal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the training beside us
    try:
        config = load_config(patch=dict(patch), workspace=tenancy.workspace)
        give_way(config.daemon.nice, own_session=not to_terminal)
        raise_file_limit()
        anyio.run(_serve, tenancy, config)
    except (ContextaError, LogError, OSError) as error:
        _log.error("the daemon cannot serve: %s", error)
        print(f"contextad: {error}", file=sys.stderr)
        return 1
    except BaseException:
        _log.exception("the daemon fails")
        raise
    finally:
        tenancy.withdraw()
    return 0


async def _serve(tenancy: Tenancy, config: UnifiedConfig) -> None:
    await Daemon(tenancy, config).serve()  # made within the event loop, whose locks and events it holds


class Daemon:
    """One daemon, from the opened log to the sealed one."""

    def __init__(self, tenancy: Tenancy, config: UnifiedConfig) -> None:
        """Open what is on disk. Raises LogError, OSError and ContextaError."""
        self.tenancy = tenancy
        self.config = config
        self.started_ns = time.time_ns()
        shutil.rmtree(tenancy.folder / SQL_SPILL, ignore_errors=True)  # of statements that were killed
        records = config.records
        workspace = config.workspace
        columns_folder = workspace.records_path / "columns"
        self.log = Log(
            workspace.records_path / "log", segment_bytes=records.segment_bytes, fetch=fetcher(columns_folder)
        )
        objects = workspace.artifacts_path / "objects" / "sha256"
        remove_unfinished(self.log.path)  # of a daemon that was killed, whatever its settings were
        remove_incoming(objects)
        for note in self.log.recovery_notes:
            _log.warning("recovery: %s", note)
        self.writer = Writer(
            self.log,
            durability=records.durability,
            compression_level=records.compression_level,
            on_committed=lambda: self.runner.committed_moved(),
            is_ours=tenancy.is_ours,
        )
        self.admission = Admission(
            self.log.sessions, self.writer, limit_bytes=config.daemon.admission_bytes, clock_ns=time.time_ns
        )
        self.internal = InternalSession(self.log, self.writer, clock_ns=time.time_ns)
        self.catalog = Catalog(workspace.metadata_path / "catalog.sqlite3")
        self.mirror = Mirror(
            workspace.cache_path / "capture",
            workspace.metadata_path / "mirror.json",
            self.catalog,
            enabled=config.capture.local_jsonl,
        )
        self.columns = Columns(columns_folder, self.catalog, on_written=lambda: self.dropper.files_grew())
        for follower in (self.catalog, self.mirror, self.columns):
            follower.attach(self.log.id, self.log.committed)
        followers: list[Follower] = [self.catalog, self.mirror, self.columns]
        patient = (self.mirror.name, self.columns.name)
        self.runner = Runner(self.log, followers, patient=patient, is_ours=tenancy.is_ours)
        self.dropper = Dropper(self.log, self.columns.folder, self.catalog.path, position=lambda: self.columns.position)
        self.hasher = Hasher(
            self.catalog,
            append=self.internal.append_internal,
            watch_catalog=self._watch_catalog,
            catalog_caught_up=self._catalog_caught_up,
            store=objects if config.artifacts.mode == "copy" else None,
        )
        self.puts = Puts(
            self.internal.append_internal,
            caught_up=self._catalog_caught_up,
            stored_digests=self.catalog.stored_digests,
            clock_ns=time.time_ns,
        )
        self.reports = WorkerReports()
        self.activity = Activity()
        self._stop = anyio.Event()
        self._stop_reason = ""

    def stop(self, reason: str) -> None:
        """End in order. Called on the event loop."""
        if not self._stop.is_set():
            self._stop_reason = reason
            self._stop.set()

    async def serve(self) -> None:
        """Serve until told to end, then drain: what was admitted is written, followers and log are closed.

        Raises OSError when clients cannot be told where.
        """
        unannounced: OSError | None = None
        server = self._server()
        socket = self.tenancy.place_socket(self.config.daemon.socket_dir)
        server.add_insecure_port(f"unix:{socket}")
        # The writer is outside of what is cancelled: it ends by itself, with what it has written synced and sealed.
        async with anyio.create_task_group() as writing, anyio.create_task_group() as tasks:
            writing.start_soon(self.writer.run)
            tasks.start_soon(self.runner.run)
            tasks.start_soon(self.hasher.run)
            tasks.start_soon(self.puts.run)
            tasks.start_soon(self._watch)
            tasks.start_soon(self._signals)
            await server.start()
            socket.chmod(0o600)
            if self.config.retention.log == "drop":
                self.dropper.start()
            try:
                self._announce(socket)
            except OSError as error:  # no room for it: nobody would ever find us, and another one may begin later
                unannounced = error
                self.stop(f"it cannot be announced: {error}")
            await self._stop.wait()
            _log.info("ending: %s", self._stop_reason)
            await self.health.enter_graceful_shutdown()
            await server.stop(DRAIN_S)
            if self.tenancy.is_ours():
                await self._say_goodbye()
            self.hasher.end()
            self.writer.stop()
            tasks.cancel_scope.cancel()
        self.dropper.close()
        self.mirror.close()
        self.columns.close()
        self.catalog.close()
        _log.info("ended")
        if unannounced is not None:
            raise unannounced

    async def _say_goodbye(self) -> None:
        with anyio.move_on_after(DRAIN_S):
            try:
                await self.internal.close()
                await self.runner.wait_applied("mirror", self.log.committed, DRAIN_S)
            except ContextaError as error:
                _log.warning("the daemon's own session stays open: %s", error)

    # --- serving ---

    def _server(self) -> grpc.aio.Server:
        options = [
            ("grpc.max_send_message_length", MAX_ANSWER_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            ("grpc.max_concurrent_streams", MAX_CALLS),
            ("grpc.compression_enabled_algorithms_bitset", 1),  # none, since older gRPC unpacks without a bound
            ("grpc.http2.bdp_probe", 0),  # else gRPC buffers whole bodies of calls that nobody reads yet
        ]
        server = grpc.aio.server(interceptors=[Gatekeeper(self.tenancy.token(), self.activity)], options=options)
        capture = CaptureService(self.log, self.admission, self.reports, self._settle)
        capture.add_to(server)
        queries = QueryService(
            self.catalog,
            self.log,
            self.runner,
            stopping=self._stop,
            columns=self.config.workspace.records_path / "columns",
            flush_columns=self.columns.flush,
            sql_spill=self.tenancy.folder / SQL_SPILL,
            expected_terminal_stages=self.config.interpretation.expected_terminal_stages,
        )
        query_pb2_grpc.add_QueryServicer_to_server(queries, server)
        wait = CatalogWait(self.log, self.runner)
        store = StoreService(self.catalog, self.log, self.puts, wait, self.columns.folder.path)
        store_pb2_grpc.add_StoreServicer_to_server(store, server)
        status_pb2_grpc.add_StatusServicer_to_server(self._status_service(), server)
        self.health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        names = [
            module.DESCRIPTOR.services_by_name[name].full_name
            for module, name in (
                (capture_pb2, "Capture"),
                (query_pb2, "Query"),
                (status_pb2, "Status"),
                (store_pb2, "Store"),
            )
        ]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
        self._service_names = names
        return server

    def _status_service(self) -> StatusService:
        place = Place(
            str(self.tenancy.workspace), str(self.tenancy.log_file), self.config.records.durability, self.started_ns
        )
        return StatusService(
            place,
            log=self.log,
            writer=self.writer,
            admission=self.admission,
            runner=self.runner,
            reports=self.reports,
            sessions=SessionsOfCatalog(self.catalog),
            open_artifacts=lambda: self.hasher.open,
            stop=self.stop,
        )

    def _announce(self, socket: Path) -> None:
        record = DaemonRecord(
            pid=os.getpid(),
            version=__version__,
            protocol_min=PROTOCOL_MIN,
            protocol_max=PROTOCOL_MAX,
            socket=str(socket),
            token_file=str(self.tenancy.token_file),
            log_file=str(self.tenancy.log_file),
            started_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            instance=self.tenancy.instance,
            workspace=str(self.tenancy.workspace),
        )
        self.tenancy.announce(record)
        _log.info("daemon %d of version %s serves %s at %s", record.pid, __version__, record.workspace, socket)

    async def _settle(self, deadline_s: float) -> bool:
        """Wait until catalog, hashes and JSON lines have all that is durable now."""
        with anyio.move_on_after(max(0.0, deadline_s - time.monotonic())):
            await self._catalog_caught_up()
            while True:
                moved = self._watch_catalog()
                if not await anyio.to_thread.run_sync(self.catalog.has_pending_artifacts):
                    break
                await moved()
            committed = self.log.committed
            return await self.runner.wait_applied("mirror", committed, deadline_s - time.monotonic())
        return False

    def _watch_catalog(self) -> Callable[[], Awaitable[None]]:
        """Return what waits until the catalog has applied more than it has now."""
        now = self.runner.applied("catalog")
        return lambda: self.runner.wait_moved("catalog", now)

    async def _catalog_caught_up(self) -> None:
        await self.runner.wait_applied("catalog", self.log.committed, float("inf"))

    # --- when to end ---

    async def _watch(self) -> None:
        """End when the workspace is no longer ours, or when nobody has needed us for long."""
        idle_timeout_s = self.config.daemon.idle_timeout_s
        for name in ["", *self._service_names]:
            await self.health.set(name, health_pb2.HealthCheckResponse.SERVING)
        freed = FreedMemory()
        while True:
            await anyio.sleep(WATCH_S)
            await anyio.to_thread.run_sync(freed.look)
            if not await anyio.to_thread.run_sync(self.tenancy.is_ours):
                _stop_rotating()
                self.stop("the workspace was deleted or moved away; nothing at its path is touched")
            elif idle_timeout_s and self._idle_s() > idle_timeout_s:
                self.stop(f"nobody wrote or read for {idle_timeout_s:.0f} s")

    def _idle_s(self) -> float:
        busy = not self.admission.is_idle or any(report.alive for report in self.reports.by_session().values())
        return 0.0 if busy or self.hasher.open else self.activity.idle_s

    async def _signals(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as received:
            async for number in received:
                self.stop(f"signal {signal.Signals(number).name}")


def _stop_rotating() -> None:
    """Rotating would rename what stands at the log file's path, which may be another daemon's by now."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.handlers.RotatingFileHandler):
            handler.maxBytes = 0


def _start_logging(path: Path, *, to_terminal: bool) -> None:
    """Write a log file that a person can read, bounded by rotation; to the terminal too where there is one."""
    handlers: list[logging.Handler] = []
    try:
        handlers.append(logging.handlers.RotatingFileHandler(path, maxBytes=LOG_FILE_BYTES, backupCount=2))
    except OSError as error:
        print(f"contextad: no log file: {error}", file=sys.stderr)
    if to_terminal:
        handlers.append(TerminalLines())
    for handler in handlers:
        handler.setFormatter(PlainFormatter(LINE))
    logging.basicConfig(handlers=handlers or [logging.NullHandler()], level=log_level())
