"""What the questions are asked of, read from the catalog: the facts of runs, and the numbers of their series."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contexta.interpretation import (
    ArtifactRecord,
    BatchRecord,
    DeploymentRecord,
    EnvironmentRecord,
    ObservationRecord,
    ProvenanceView,
    RelationRecord,
    RunFacts,
    RunRecord,
    SampleRecord,
    SeriesSummary,
    StageRecord,
    StepSeries,
    WorkerRecord,
)
from contexta.interpretation.diagnosis import SEVERITIES, severity_of
from contexta.interpretation.messages import from_message, observation, step_series
from contexta.v1 import query_pb2
from contexta_daemon.batches import format_ns
from contexta_daemon.catalog.tally import NO_RANK
from contexta_daemon.log import Position, ReadableLog

from .finding import FoundRun, find_run
from .listing import STAGE_NAME, Listing
from .pages import Pages
from .records import Cursor, RecordFilter
from .series import read_points
from .series_wanted import SeriesWanted, count_points

MAX_SCOPES = 10_000  # batches or samples of a run that a question looks at
MAX_DEGRADED = 1_000
POINTS_AT_ONCE = 4_000_000  # beyond, ranks are read one by one

_SUMMARIES = f"""
SELECT r.run_ref, m.key, m.stage_ref, {STAGE_NAME}, m.rank, m.unit, m.points, m.points - m.finite,
  m.first_value, m.last_value, m.least, m.greatest, m.mean, m.squares, m.finite, m.first_ns, m.last_ns, m.last_step,
  m.odd_step
FROM summaries m JOIN runs r ON r.id = m.run LEFT JOIN scopes t ON t.run = m.run AND t.ref = m.stage_ref
"""


@dataclass(frozen=True, slots=True)
class Sources:
    """The catalog on one connection, the log up to `end`, the columns, and the policies of the configuration."""

    connection: sqlite3.Connection
    log: ReadableLog
    end: Position
    expected_terminal_stages: tuple[str, ...]
    columns: Path | None = None

    @property
    def listing(self) -> Listing:
        return Listing(self.connection)

    def series(self, wanted: SeriesWanted, *, max_points: int = 0) -> StepSeries:
        """Return the points of a metric. Raises NotFoundError."""
        found = read_points(self.connection, self.log, wanted, columns=self.columns, max_points=max_points)
        return step_series(found, wanted.key)

    def series_of_ranks(self, wanted: SeriesWanted) -> Iterator[StepSeries]:
        """Yield the points of a metric, those of a rank never apart: all at once where they are not many, so that
        memory is bounded by the points of one rank. Raises NotFoundError."""
        counts = count_points(self.connection, wanted)
        if sum(counts.values()) <= POINTS_AT_ONCE:
            yield self.series(wanted)
            return
        for rank in counts:
            yield self.series(replace(wanted, rank=rank))

    def facts(self, run_id: str, attempt: int = 0, *, scopes: bool = True, degraded: bool = True) -> RunFacts:
        """Return what is known of a run. scopes, degraded: whether batches and samples, and degraded records, are
        wanted. Raises NotFoundError and AmbiguousError."""
        found = find_run(self.connection, run_id, attempt)
        ref, listing = found.run_ref, self.listing
        asked: dict[str, Any] = {"run_id": ref, "attempt": found.attempt}
        run = from_message(listing.runs(query_pb2.ListRunsRequest(**asked)).runs[0], RunRecord)
        stages = listing.stages(query_pb2.ListStagesRequest(**asked)).stages
        artifacts = listing.artifacts(query_pb2.ListArtifactsRequest(**asked)).artifacts
        workers = listing.workers(query_pb2.ListWorkersRequest(**asked)).workers
        batches, samples, cut = self._scopes(asked) if scopes else ((), (), {})
        worst, count = self._degraded(found) if degraded else ((), 0)
        if count > len(worst):
            cut["degraded"] = count
        relations = self.relations(found, [each.artifact_ref for each in artifacts])
        return RunFacts(
            run=run,
            stages=tuple(from_message(each, StageRecord) for each in stages),
            batches=batches,
            samples=samples,
            deployments=self.deployments(ref),
            artifacts=tuple(from_message(each, ArtifactRecord) for each in artifacts),
            relations=relations,
            provenance=self.provenance(ref, relations),
            summaries=tuple(self.summaries("m.run = ?", (found.id,))),
            degraded=worst,
            workers=tuple(from_message(each, WorkerRecord) for each in workers),
            environment=self.environment(ref, found.attempt),
            dropped=self._dropped(found),
            dropped_shared=self._dropped_shared(found),
            cut=cut,
        )

    def summaries(self, where: str, values: Sequence[Any]) -> Iterable[SeriesSummary]:
        """Yield the numbers of series. where: a condition on summaries m, runs r and stages t."""
        rows = self.connection.execute(f"{_SUMMARIES} WHERE {where} ORDER BY m.run, t.ord, m.key, m.rank", values)
        for row in rows:
            yield _summary(row)

    def deployments(self, run_ref: str) -> tuple[DeploymentRecord, ...]:
        found = self.listing.deployments(query_pb2.ListDeploymentsRequest(run_id=run_ref)).deployments
        return tuple(from_message(each, DeploymentRecord) for each in found)

    def environment(self, run_ref: str, attempt: int = 0) -> EnvironmentRecord | None:
        asked = query_pb2.GetEnvironmentRequest(run_id=run_ref, attempt=attempt)
        found = self.listing.environment(asked)
        return from_message(found, EnvironmentRecord) if found.found else None

    def relations(self, run: FoundRun, artifact_refs: Sequence[str]) -> tuple[RelationRecord, ...]:
        """The stored relations that touch a run, a thing within it, or one of its artifacts."""
        path = run.run_ref.partition(":")[2]
        found = {each.relation_ref: each for ref in (run.run_ref, *artifact_refs) for each in self.touching(ref)}
        within = self.connection.execute(
            "SELECT * FROM relations WHERE substr(source_ref, instr(source_ref, ':') + 1, ?) = ? "
            "OR substr(target_ref, instr(target_ref, ':') + 1, ?) = ?",
            (len(path) + 1, f"{path}.", len(path) + 1, f"{path}."),
        )
        found |= {row[0]: RelationRecord(*row) for row in within}
        return tuple(found[ref] for ref in sorted(found))

    def touching(self, ref: str) -> list[RelationRecord]:
        """The stored relations that begin or end at a reference."""
        rows = self.connection.execute(
            "SELECT * FROM relations WHERE source_ref = ?1 UNION SELECT * FROM relations WHERE target_ref = ?1", (ref,)
        )
        return [RelationRecord(*row) for row in rows]

    def neighbours(self, ref: str, *, attempt: FoundRun | None = None) -> list[RelationRecord]:
        """Every relation that touches a reference: stored ones, then those that other facts imply.

        attempt: which attempt its run's reference means; that of any other run means the newest.
        """
        return [*self.touching(ref), *self._implied(ref, attempt)]

    def run_of_artifact(self, ref: str) -> FoundRun | None:
        """Return the attempt that registered an artifact, the last one where several did."""
        row = self.connection.execute(
            "SELECT r.id, r.run_ref, r.attempt FROM artifacts a JOIN runs r ON r.id = a.run WHERE a.ref = ? "
            "ORDER BY a.id DESC LIMIT 1",
            (ref,),
        ).fetchone()
        return FoundRun(*row) if row else None

    def provenance(self, run_ref: str, relations: Sequence[RelationRecord]) -> tuple[ProvenanceView, ...]:
        """What supports the relations of a run."""
        views = []
        for relation in relations:
            rows = self.connection.execute(
                "SELECT ref, relation_ref, assertion_mode, asserted_at, formation_context_ref, policy_ref, "
                "evidence_bundle_ref FROM provenance WHERE relation_ref = ? ORDER BY ref",
                (relation.relation_ref,),
            )
            views += [ProvenanceView(run_ref, *row[:4], *(each or None for each in row[4:])) for row in rows]
        return tuple(views)

    def _scopes(
        self, asked: dict[str, Any]
    ) -> tuple[tuple[BatchRecord, ...], tuple[SampleRecord, ...], dict[str, int]]:
        listing = self.listing
        batches = listing.batches(query_pb2.ListBatchesRequest(**asked)).batches
        samples = listing.samples(query_pb2.ListSamplesRequest(**asked)).samples
        cut = {name: len(each) for name, each in (("batches", batches), ("samples", samples)) if len(each) > MAX_SCOPES}
        return (
            tuple(from_message(each, BatchRecord) for each in batches[:MAX_SCOPES]),
            tuple(from_message(each, SampleRecord) for each in samples[:MAX_SCOPES]),
            cut,
        )

    def _degraded(self, run: FoundRun) -> tuple[tuple[ObservationRecord, ...], int]:
        """The degraded records of a run, and how many there are; of more than MAX_DEGRADED the worst come first, the
        others are left out."""
        wanted = RecordFilter(run=run.id, newest_only=False, record_type="degraded")
        pages = Pages(self.log, self.connection, wanted, Cursor())
        found: list[ObservationRecord] = []
        count = 0
        while pages.at.position < self.end:
            page = pages.next(self.end)
            count += len(page.records)
            found += [observation(record) for record in page.records]
            if len(found) > MAX_DEGRADED:
                found.sort(key=lambda record: SEVERITIES.index(severity_of(record)))
                del found[MAX_DEGRADED:]
        return tuple(found), count

    def _dropped(self, run: FoundRun) -> dict[str, int]:
        rows = self.connection.execute(
            "SELECT d.reason, sum(d.metrics + d.entries) FROM dropped d JOIN run_sessions j ON j.session = d.session "
            "WHERE j.run = ? GROUP BY d.reason",
            (run.id,),
        )
        return {reason: count for reason, count in rows if count}

    def _dropped_shared(self, run: FoundRun) -> bool:
        found = self.connection.execute(
            "SELECT 1 FROM dropped d JOIN run_sessions j ON j.session = d.session JOIN run_sessions o "
            "ON o.session = d.session AND o.run != j.run WHERE j.run = ? AND d.metrics + d.entries > 0 LIMIT 1",
            (run.id,),
        ).fetchone()
        return found is not None

    def dropped_of(self, run_refs: Iterable[str]) -> int:
        """Return how many records the processes of runs did not keep, each process counted once."""
        (count,) = self.connection.execute(
            "SELECT coalesce(sum(metrics + entries), 0) FROM dropped WHERE session IN (SELECT j.session "
            "FROM run_sessions j JOIN runs r ON r.id = j.run JOIN json_each(?) a ON a.value = r.run_ref "
            "WHERE r.newest = 1)",
            (json.dumps(list(run_refs)),),
        ).fetchone()
        return int(count)

    def _implied(self, ref: str, attempt: FoundRun | None) -> list[RelationRecord]:
        """run -> its artifacts and its dataset, deployment -> its run and its artifact."""
        edges: list[tuple[str, str, str, str]] = []
        select = self.connection.execute
        kind = ref.partition(":")[0]
        if kind == "run":
            number = attempt.attempt if attempt is not None and attempt.run_ref == ref else 0
            which = "r.run_ref = ?1 AND iif(?2 = 0, r.newest = 1, r.attempt = ?2)"
            edges += select(
                "SELECT 'generated_from', a.ref, a.run_ref, a.created_at FROM artifacts a JOIN runs r ON r.id = a.run "
                f"WHERE {which}", (ref, number))  # fmt: skip
            edges += select(
                "SELECT 'used', r.run_ref, r.dataset_ref, r.started_at FROM runs r "
                f"WHERE {which} AND r.dataset_ref != ''", (ref, number))  # fmt: skip
        elif kind == "artifact":
            edges += select("SELECT 'generated_from', ref, run_ref, created_at FROM artifacts WHERE ref = ? "
                            "AND run_ref != ''", (ref,))  # fmt: skip
        elif kind != "deployment":
            edges += select("SELECT 'used', run_ref, dataset_ref, started_at FROM runs WHERE dataset_ref = ? "
                            "AND newest = 1", (ref,))  # fmt: skip
        for column in ("run_ref", "artifact_ref"):
            edges += select(
                f"SELECT 'deployed_from', ref, {column}, started_at FROM deployments WHERE {column} != '' "
                f"AND (ref = ?1 OR {column} = ?1)", (ref,))  # fmt: skip
        return [_implied_relation(*edge) for edge in {edge[:3]: edge for edge in edges}.values()]


def _implied_relation(kind: str, source: str, target: str, at: str) -> RelationRecord:
    """A relation that nobody stored; its reference follows from what it says, so that it is the same each time."""
    digest = hashlib.blake2b(f"{source} {kind} {target}".encode(), digest_size=6).hexdigest()
    path = source.partition(":")[2].split(".")
    ref = f"relation:{'.'.join(path[:2])}.implied-{digest}"
    return RelationRecord(ref, kind, source, target, at, "inferred", "high")


def _summary(row: tuple[Any, ...]) -> SeriesSummary:
    (run, key, stage, stage_name, rank, unit, points, odd, first, last, least, greatest, mean, squares, finite,
     first_ns, last_ns, last_step, odd_step) = row  # fmt: skip
    return SeriesSummary(
        run_id=run,
        metric_key=key,
        stage_id=stage or None,
        stage_name=stage_name or None,
        rank=None if rank == NO_RANK else rank,
        unit=unit or None,
        count=points,
        non_finite=odd,
        first=math.nan if first is None else first,
        last=math.nan if last is None else last,
        min=least,
        max=greatest,
        mean=mean if finite else None,
        std=math.sqrt(max(squares, 0.0) / finite) if finite and squares is not None else None,
        first_at=format_ns(first_ns),
        last_at=format_ns(last_ns),
        last_step=_step(last_step),
        first_non_finite_step=_step(odd_step) if odd else None,
    )


def _step(stored: int | None) -> int | None:
    return stored - (stored > 0) if stored else None
