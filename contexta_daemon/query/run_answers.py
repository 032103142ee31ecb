"""Questions about one run, or a few: each turns a request into the message of its answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from contexta.errors import NotFoundError, ValidationError, nearest
from contexta.interpretation import (
    ArtifactOrigin,
    ArtifactRecord,
    CompletenessNote,
    DeploymentRecord,
    EvidenceLink,
    RunFacts,
    RunRecord,
    SeriesSummary,
    StageRecord,
    StepSeries,
    StragglerReport,
)
from contexta.interpretation.comparison import compare_multiple_runs, compare_runs
from contexta.interpretation.diagnosis import diagnose_run
from contexta.interpretation.environments import audit_reproducibility, compare_environments
from contexta.interpretation.lineage import traverse_lineage
from contexta.interpretation.messages import from_message, to_message
from contexta.interpretation.stragglers import THRESHOLD, RankTimes, find_stragglers
from contexta.interpretation.values import check_threshold
from contexta.v1 import query_pb2 as pb
from contexta_daemon.catalog.tally import NO_RANK

from .finding import find_run
from .listing import STAGE_NAME
from .pages import Pages
from .records import Cursor, RecordFilter
from .series_wanted import SeriesWanted, count_points
from .sources import Sources

MAX_COMPARED = 200
MAX_COMPARED_TIMES = 4_000_000  # of the ranks of one stage, when looking for stragglers

Int64s = npt.NDArray[np.int64]


def list_series(sources: Sources, request: pb.ListSeriesRequest) -> pb.ListSeriesResponse:
    run = find_run(sources.connection, request.run_id, request.attempt)
    found = sources.summaries(
        f"m.run = ? AND ? IN ('', m.key) AND ? IN ('', {STAGE_NAME})",
        (run.id, request.metric_key, request.stage_name),
    )
    return pb.ListSeriesResponse(series=[to_message(each, pb.SeriesSummary) for each in found])


def count_records(sources: Sources, request: pb.CountRecordsRequest) -> pb.CountRecordsResponse:
    """Metrics of a whole run are counted by their summaries; everything else is looked at."""
    asked = request.filter
    whole_run = {field.name for field, _ in asked.ListFields()} <= {"run_id", "attempt", "record_type"} and asked.run_id
    if not whole_run or asked.record_type not in ("", "metric"):
        return pb.CountRecordsResponse(count=_counted(sources, asked))
    run = find_run(sources.connection, asked.run_id, asked.attempt)
    (count,) = sources.connection.execute(
        "SELECT coalesce(sum(points), 0) FROM summaries WHERE run = ?", (run.id,)
    ).fetchone()
    for record_type in () if asked.record_type else ("event", "span", "degraded"):
        part = pb.RecordFilter(run_id=run.run_ref, attempt=run.attempt, record_type=record_type)
        count += _counted(sources, part)
    return pb.CountRecordsResponse(count=count)


def _counted(sources: Sources, asked: pb.RecordFilter) -> int:
    pages = Pages(sources.log, sources.connection, RecordFilter.of(sources.connection, asked), Cursor())
    count = 0
    while pages.at.position < sources.end:
        count += len(pages.next(sources.end).records)
    return count


def snapshot(sources: Sources, request: pb.RunRequest) -> pb.RunSnapshot:
    facts = sources.facts(request.run_id, request.attempt, degraded=False)
    message = to_message(facts, pb.RunSnapshot)  # the parts have the same names in both
    for each in _evidence(facts):
        message.evidence_links.append(to_message(each, pb.EvidenceLink))
    for note in _cut_notes(facts):
        message.completeness_notes.append(to_message(note, pb.CompletenessNote))
    message.record_count = facts.run.metric_count
    return message


def provenance(sources: Sources, request: pb.RunRequest) -> pb.ProvenanceResponse:
    facts = sources.facts(request.run_id, request.attempt, scopes=False, degraded=False)
    return pb.ProvenanceResponse(provenance=[to_message(each, pb.Provenance) for each in facts.provenance])


def artifact_origin(sources: Sources, request: pb.ArtifactOriginRequest) -> pb.ArtifactOrigin:
    ref = request.artifact_ref
    found = sources.listing.artifacts(pb.ListArtifactsRequest(artifact_ref=ref)).artifacts
    if not found:
        known = [row[0] for row in sources.connection.execute("SELECT ref FROM artifacts ORDER BY id DESC LIMIT 10000")]
        raise NotFoundError(f"There is no artifact {ref!r}.{nearest(ref, known)}")
    artifact = from_message(found[-1], ArtifactRecord)
    run = stage = None
    of = sources.run_of_artifact(ref)
    if of is not None:
        asked: dict[str, Any] = {"run_id": of.run_ref, "attempt": of.attempt}
        run = from_message(sources.listing.runs(pb.ListRunsRequest(**asked)).runs[0], RunRecord)
        stages = sources.listing.stages(pb.ListStagesRequest(**asked)).stages
        stage = next((from_message(each, StageRecord) for each in stages if each.stage_id == artifact.stage_id), None)
    went_to = sources.listing.deployments_of_artifact(ref)
    deployments = tuple(from_message(each, DeploymentRecord) for each in went_to)
    origin = ArtifactOrigin(artifact, run, stage, deployments, tuple(sources.neighbours(ref)))
    return to_message(origin, pb.ArtifactOrigin)


def comparison(sources: Sources, request: pb.CompareRunsRequest) -> pb.RunComparison:
    left = sources.facts(request.left_run_id, request.left_attempt, scopes=False, degraded=False)
    right = sources.facts(request.right_run_id, request.right_attempt, scopes=False, degraded=False)
    return to_message(compare_runs(left, right, policy=request.policy), pb.RunComparison)


def multi_comparison(sources: Sources, request: pb.CompareMultipleRunsRequest) -> pb.MultiRunComparison:
    found = compare_multiple_runs(
        runs_to_compare(sources, request.run_ids), policy=request.policy, lower=request.lower_is_better
    )
    return to_message(found, pb.MultiRunComparison)


def runs_to_compare(sources: Sources, run_ids: Sequence[str]) -> list[RunFacts]:
    """Return the facts of runs, each once. Raises ValidationError for none or too many."""
    if not 0 < len(run_ids) <= MAX_COMPARED:
        raise ValidationError(
            f"{len(run_ids)} runs cannot be compared; name 1 to {MAX_COMPARED} of them.", code="query_invalid"
        )
    facts = [sources.facts(each, scopes=False, degraded=False) for each in run_ids]
    return list({each.run.run_id: each for each in facts}.values())


def diagnosis(sources: Sources, request: pb.RunRequest) -> pb.DiagnosticsResult:
    facts = sources.facts(request.run_id, request.attempt)
    found = diagnose_run(facts, expected_terminal_stages=sources.expected_terminal_stages)
    return to_message(found, pb.DiagnosticsResult)


def lineage(sources: Sources, request: pb.TraverseLineageRequest) -> pb.LineageTraversal:
    ref = request.subject_ref
    if ":" not in ref:
        ref = find_run(sources.connection, ref).run_ref
    found = traverse_lineage(
        ref,
        partial(sources.neighbours, attempt=sources.run_of_artifact(ref)),
        direction=request.direction or None,
        max_depth=request.max_depth if request.HasField("max_depth") else None,
    )
    if not found.edges and not sources.neighbours(ref) and not _is_known(sources, ref):
        raise NotFoundError(
            f"Nothing is known of {ref!r}: no relation, run, artifact or other thing has that reference."
        )
    return to_message(found, pb.LineageTraversal)


def audit(sources: Sources, request: pb.RunRequest) -> pb.ReproducibilityAudit:
    facts = sources.facts(request.run_id, request.attempt, scopes=False, degraded=False)
    return to_message(audit_reproducibility(facts), pb.ReproducibilityAudit)


def environments(sources: Sources, request: pb.CompareEnvironmentsRequest) -> pb.EnvironmentDiff:
    sides = []
    for name in (request.left_run_id, request.right_run_id):
        run = find_run(sources.connection, name)
        environment = sources.environment(run.run_ref, run.attempt)
        if environment is None:
            raise NotFoundError(f"No environment of {run.run_ref} was captured or put.")
        sides.append(environment)
    return to_message(compare_environments(*sides), pb.EnvironmentDiff)


def stragglers(sources: Sources, request: pb.FindStragglersRequest) -> pb.StragglerReport:
    """Look in each stage at the metric that most ranks captured with steps."""
    run = find_run(sources.connection, request.run_id, request.attempt)
    threshold = check_threshold(request.threshold or THRESHOLD)
    by_stage: defaultdict[tuple[str | None, str | None], list[SeriesSummary]] = defaultdict(list)
    for each in sources.summaries("m.run = ? AND ? IN ('', m.key)", (run.id, request.metric_key)):
        if each.rank is not None and each.last_step is not None:
            by_stage[each.stage_id, each.stage_name].append(each)
    report = StragglerReport(run.run_ref, ())
    if not by_stage:
        note = CompletenessNote("info", "No rank recorded a metric with steps: nobody can be told to be slow.")
        return to_message(replace(report, completeness_notes=(note,)), pb.StragglerReport)
    for (stage_id, stage_name), series in by_stage.items():
        key = _telling_key(series)
        wanted = SeriesWanted(run, key, stage_id or "")
        kept, notes = _steps_to_compare(sources, wanted)
        times = _rank_times(sources, wanted, kept)
        found = find_stragglers(run.run_ref, key, stage_id, stage_name, times, threshold=threshold)
        report = replace(
            report,
            stragglers=report.stragglers + found.stragglers,
            completeness_notes=report.completeness_notes + found.completeness_notes + notes,
        )
    return to_message(report, pb.StragglerReport)


def _telling_key(series: Sequence[SeriesSummary]) -> str:
    """Return the metric that most ranks have, of those the one with the most points."""
    ranks: defaultdict[str, set[int | None]] = defaultdict(set)
    points: defaultdict[str, int] = defaultdict(int)
    for each in series:
        ranks[each.metric_key].add(each.rank)
        points[each.metric_key] += each.count
    return max(ranks, key=lambda key: (len(ranks[key]), points[key], key))


def _steps_to_compare(
    sources: Sources, wanted: SeriesWanted
) -> tuple[Int64s | None, tuple[CompletenessNote, ...]]:
    """Return which steps to look at, None: all, and a note where some that all ranks have are left out.

    Of too many to compare the last ones are kept, which tell who is late until the end, and the first ones, which tell
    what the clocks of other hosts are off. Both without gaps: they tell the usual time of a step too.
    """
    counts = {rank: count for rank, count in count_points(sources.connection, wanted).items() if rank != NO_RANK}
    if sum(counts.values()) <= MAX_COMPARED_TIMES:
        return None, ()
    common: Int64s | None = None
    for rank in counts:
        steps, _ = _first_times(sources.series(replace(wanted, rank=rank)), rank)
        if len(steps):
            common = steps if common is None else np.intersect1d(common, steps, assume_unique=True)
    most = MAX_COMPARED_TIMES // len(counts)
    if common is None or len(common) <= most:
        return common, ()
    first = most // 10
    note = f"Of {len(common)} steps of {wanted.key!r} the first {first} and the last {most - first} were looked at."
    kept = np.concatenate([common[:first], common[len(common) - (most - first) :]])
    return kept, (CompletenessNote("info", note, {"steps": len(common)}),)


def _rank_times(sources: Sources, wanted: SeriesWanted, kept: Int64s | None) -> list[RankTimes]:
    """Return when each rank first recorded its steps. kept: only these."""
    asked: dict[str, Any] = {"run_id": wanted.run.run_ref, "attempt": wanted.run.attempt}
    workers = sources.listing.workers(pb.ListWorkersRequest(**asked)).workers
    hosts = {each.rank: each.host for each in workers if each.HasField("rank")}
    found = []
    for series in sources.series_of_ranks(wanted):
        for rank in np.unique(series.ranks[(series.ranks >= 0) & series.has_step]).tolist():
            steps, times_ns = _first_times(series, rank)
            if kept is not None:
                compared = np.isin(steps, kept, assume_unique=True)
                steps, times_ns = steps[compared], times_ns[compared]
            found.append(RankTimes(rank, hosts.get(rank, ""), steps, times_ns))
    return found


def _first_times(series: StepSeries, rank: int) -> tuple[Int64s, Int64s]:
    """Return the steps of a rank, and when it first recorded each."""
    mine = (series.ranks == rank) & series.has_step
    steps, first = np.unique(series.steps[mine], return_index=True)
    return steps, series.times_ns[mine][first]


def _is_known(sources: Sources, ref: str) -> bool:
    select = (
        "SELECT 1 FROM runs WHERE run_ref = ?1 UNION ALL SELECT 1 FROM artifacts WHERE ref = ?1 UNION ALL "
        "SELECT 1 FROM deployments WHERE ref = ?1 UNION ALL SELECT 1 FROM scopes WHERE ref = ?1 UNION ALL "
        "SELECT 1 FROM projects WHERE project_ref = ?1 UNION ALL SELECT 1 FROM stored_models WHERE ref = ?1 LIMIT 1"
    )
    return sources.connection.execute(select, (ref,)).fetchone() is not None


def _evidence(facts: RunFacts) -> list[EvidenceLink]:
    links = [EvidenceLink("run", facts.run.run_id, facts.run.name)]
    links += [EvidenceLink("artifact", each.artifact_ref, each.kind) for each in facts.artifacts]
    return links + [EvidenceLink("deployment", each.deployment_id, each.name) for each in facts.deployments]


def _cut_notes(facts: RunFacts) -> list[CompletenessNote]:
    notes = [
        CompletenessNote("warning", f"The first of {count} {name} are here; list_{name} has all.", {name: count})
        for name, count in facts.cut.items()
    ]
    if facts.dropped:
        notes.append(CompletenessNote("error", f"{facts.dropped_text}.", dict(facts.dropped)))
    if facts.run.status == "open":
        notes.append(CompletenessNote("info", "The run is still open: more may come."))
    return notes
