"""Questions that take thought, answered in a process of their own, so that no append waits for one.

A question crosses as bytes: the name of its RPC and the serialized request; back comes the serialized answer, or what
the error says. The process reads the catalog and the log, and writes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_process

from contexta._priority import give_way
from contexta.errors import ContextaError, UnavailableError
from contexta_daemon.columns import fetcher
from contexta_daemon.log import LogError, LogReader, Position

PROCESSES = 2
NICENESS = 5
SQL_PAGE_ROWS = 1_000
GRACE_S = 10.0  # beyond a statement's deadline, for an interruption to be noticed and the answer to be sent

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Place:
    """Where catalog, log and columns are, how far the log may be read, and the policies; made of plain values."""

    catalog: str
    log: str
    columns: str  # their folder; empty: all is read from the log
    segment: int
    offset: int
    expected_terminal_stages: tuple[str, ...]
    sql_spill: str = ""  # the folder for what a statement's memory does not hold


@dataclass(frozen=True, slots=True)
class Failure:
    """An error on its way between two processes."""

    code: str
    message: str
    details: dict[str, Any]
    retryable: bool
    is_callers: bool  # wrong input, not a fault


class QuestionError(ContextaError):
    """What the thinking process said of a question that it could not answer."""

    default_code = "internal"


class RefusedQuestionError(QuestionError, ValueError):
    """The same, where what was asked is wrong."""


class Thinkers:
    """Asks at most PROCESSES processes at once. A cancelled question ends its process; the next one starts another."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(PROCESSES)

    async def ask(self, method: str, request: bytes, place: Place) -> bytes:
        """Return the serialized answer. Raises QuestionError with the code that the error had."""
        return _or_raise(await self._run(answer, method, request, place))

    async def sql(self, text: str, place: Place, *, max_rows: int, deadline_s: float) -> list[bytes]:
        """Return the answer to a statement as serialized pages. Raises QuestionError as `ask`."""
        try:
            with anyio.fail_after(deadline_s + GRACE_S):  # it may be where no interruption is noticed: the process ends
                return _or_raise(await self._run(answer_sql, text, place, max_rows, deadline_s))
        except TimeoutError:
            said = f"The statement was not answered within {deadline_s:g} s."
            raise QuestionError(said, code="deadline_exceeded") from None

    async def _run(self, function: Callable[..., Answer | Failure], *arguments: object) -> Answer | Failure:
        """Run a function in one of the processes; one that was killed is replaced, once, since nothing was changed."""
        for last in (False, True):
            try:
                return await anyio.to_process.run_sync(function, *arguments, cancellable=True, limiter=self._limiter)
            except anyio.BrokenWorkerProcess as error:
                if last:
                    raise UnavailableError(
                        "The process that was to answer ended, twice. Is there too little memory? Ask again.",
                        cause=error,
                    ) from error
        raise AssertionError("the second try returns or raises")


def _or_raise(found: Answer | Failure) -> Answer:
    if isinstance(found, Failure):
        kind = RefusedQuestionError if found.is_callers else QuestionError
        raise kind(found.message, code=found.code, details=found.details, retryable=found.retryable)
    return found


def answer(method: str, request: bytes, place: Place) -> bytes | Failure:
    """Answer one question; runs in the process that thinks."""
    from contexta_daemon.catalog import connect_reader

    from .sources import Sources

    _lower_priority()
    parse, think = _questions()[method]
    try:
        with closing(connect_reader(Path(place.catalog))) as connection:
            end = Position(place.segment, place.offset)
            columns = Path(place.columns) if place.columns else None
            sources = Sources(connection, _log(place.log, place.columns), end, place.expected_terminal_stages, columns)
            connection.execute("BEGIN")  # one state of the catalog for all that an answer looks at
            reply: bytes = think(sources, parse(request)).SerializeToString()
            return reply
    except ContextaError as error:
        return _failure(error)
    except LogError as error:
        return Failure(error.code, str(error), {}, error.retryable, False)
    except sqlite3.Error as error:
        return Failure("storage_failed", f"The catalog cannot be read: {error}", {}, True, False)


def answer_sql(text: str, place: Place, max_rows: int, deadline_s: float) -> list[bytes] | Failure:
    """Answer one statement; runs in the process that thinks."""
    from contexta.contract.json_text import dumps
    from contexta.v1 import query_pb2 as pb

    from .sql import run_sql
    from .sql_limits import ended_by_the_clock

    _lower_priority()
    try:
        with ended_by_the_clock(deadline_s + GRACE_S):  # should the daemon be gone by then
            found = run_sql(
                text,
                catalog_path=Path(place.catalog),
                columns_folder=Path(place.columns),
                spill_folder=Path(place.sql_spill) if place.sql_spill else None,
                max_rows=max_rows,
                deadline_s=deadline_s,
            )
    except ContextaError as error:
        return _failure(error)
    starts = range(0, len(found.rows), SQL_PAGE_ROWS)
    parts = [pb.SqlPage(rows_json=dumps(found.rows[start : start + SQL_PAGE_ROWS])) for start in starts]
    return [page.SerializeToString() for page in (pb.SqlPage(columns=found.columns, types=found.types), *parts)]


def _failure(error: ContextaError) -> Failure:
    details = {str(key): str(value) for key, value in error.details.items()}
    is_callers = isinstance(error, ValueError | LookupError)
    return Failure(error.code, error.message, details, error.retryable, is_callers)


@cache
def _lower_priority() -> None:
    """Below the daemon, which is below the training: on a full machine a report waits for an append."""
    give_way(NICENESS, own_session=False)


@cache
def _log(path: str, columns: str) -> LogReader:
    return LogReader(Path(path), fetch=fetcher(Path(columns)) if columns else None)


@cache
def _questions() -> dict[str, tuple[Callable[[bytes], Any], Callable[[Any, Any], Any]]]:
    """RPC name -> (request of bytes, function of (sources, request)). Imported where they are answered only."""
    from contexta.v1 import query_pb2 as pb

    from . import fleet_answers, report_answers, run_answers

    found: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
        "ListSeries": (pb.ListSeriesRequest, run_answers.list_series),
        "CountRecords": (pb.CountRecordsRequest, run_answers.count_records),
        "GetRunSnapshot": (pb.RunRequest, run_answers.snapshot),
        "GetProvenance": (pb.RunRequest, run_answers.provenance),
        "GetArtifactOrigin": (pb.ArtifactOriginRequest, run_answers.artifact_origin),
        "CompareRuns": (pb.CompareRunsRequest, run_answers.comparison),
        "CompareMultipleRuns": (pb.CompareMultipleRunsRequest, run_answers.multi_comparison),
        "SelectBestRun": (pb.SelectBestRunRequest, fleet_answers.best_run),
        "DiagnoseRun": (pb.RunRequest, run_answers.diagnosis),
        "FindStragglers": (pb.FindStragglersRequest, run_answers.stragglers),
        "TraverseLineage": (pb.TraverseLineageRequest, run_answers.lineage),
        "AuditReproducibility": (pb.RunRequest, run_answers.audit),
        "CompareEnvironments": (pb.CompareEnvironmentsRequest, run_answers.environments),
        "GetTrend": (pb.GetTrendRequest, fleet_answers.trend),
        "Aggregate": (pb.AggregateRequest, fleet_answers.aggregate),
        "GetStatusDistribution": (pb.RunsRequest, fleet_answers.status_distribution),
        "DetectAnomalies": (pb.DetectAnomaliesRequest, fleet_answers.anomalies),
        "EvaluateAlerts": (pb.EvaluateAlertsRequest, fleet_answers.alerts),
        "SearchRuns": (pb.SearchRequest, fleet_answers.search_runs),
        "SearchArtifacts": (pb.SearchRequest, fleet_answers.search_artifacts),
        "BuildReport": (pb.BuildReportRequest, report_answers.report),
        "RenderReport": (pb.RenderReportRequest, report_answers.rendered),
    }
    return {name: (kind.FromString, think) for name, (kind, think) in found.items()}
