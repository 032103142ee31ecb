"""The report of one run: what it did, what it left, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

from .facts import RunFacts
from .findings import Chart, DiagnosticsResult, ReportDocument, ReportSection
from .report_metrics import METRIC_COLUMNS, RANK_COLUMNS, metrics_of_stages, rank_charts, rank_rows
from .report_parts import SectionParts, notes_parts, severity_order
from .report_text import counted, duration_text, escaped, pairs_text, seconds_between


def snapshot_report(facts: RunFacts, diagnostics: DiagnosticsResult, *, curves: Sequence[Chart] = ()) -> ReportDocument:
    """Return the report of a run. curves: charts of its metrics over steps, shown in the summary."""
    sections = [
        _summary(facts, curves),
        _stages(facts),
        _artifacts(facts),
        _batches(facts),
        _deployments(facts),
        _samples(facts),
        _diagnostics(diagnostics),
        _completeness(facts, diagnostics),
    ]
    if facts.provenance:
        sections.append(_provenance(facts))
    return ReportDocument(title=f"Run Snapshot Report: {facts.run.run_id}", sections=tuple(sections))


def _summary(facts: RunFacts, curves: Sequence[Chart]) -> ReportSection:
    run = facts.run
    metrics = metrics_of_stages(facts.summaries)
    parts = SectionParts("Run Summary", _opening(facts))
    parts.properties(
        (
            ("status", run.status),
            ("reason", run.reason),
            ("project", run.project_name),
            ("run", run.run_id),
            ("attempt", run.attempt),
            ("started", run.started_at),
            ("ended", run.ended_at),
            ("duration (s)", seconds_between(run.started_at, run.ended_at)),
            ("workers", run.worker_count or None),
            ("workers lost", run.lost_worker_count or None),
            ("metric points", run.metric_count),
            ("records not kept", run.dropped_count or None),
            ("dataset", run.dataset_ref),
            ("code revision", run.code_revision),
        )
    )
    if not metrics:
        parts.say("No metrics were captured.")
    parts.table(
        METRIC_COLUMNS, [metric.row() for metric in metrics], title="Metrics", total=_total(facts, "summaries", metrics)
    )
    parts.charts(curves)
    parts.charts(rank_charts(metrics))
    parts.table(RANK_COLUMNS, rank_rows(metrics), title="Metrics by rank")
    _workers(parts, facts)
    parts.mapping(run.tags, title="Tags")
    parts.mapping(run.metadata, title="Metadata")
    parts.mapping(run.config_snapshot, title="Configuration", name="setting")
    _environment(parts, facts)
    return parts.section()


def _total(facts: RunFacts, name: str, shown: Sequence[object]) -> int | None:
    """Return how many there are of what the facts had to cut; metrics, put together over ranks, cannot be told."""
    return None if name == "summaries" or name not in facts.cut else max(facts.cut[name], len(shown))


def _opening(facts: RunFacts) -> str:
    run = facts.run
    seconds = seconds_between(run.started_at, run.ended_at)
    took = f" after **{duration_text(seconds)}**" if seconds is not None and run.status != "open" else ""
    state = "is still **open**" if run.status == "open" else f"is **{escaped(run.status)}**"
    lost = f", {run.lost_worker_count} of them lost" if run.lost_worker_count else ""
    held = [
        counted(facts.cut.get("stages", len(facts.stages)), "stage"),
        counted(facts.cut.get("artifacts", len(facts.artifacts)), "artifact"),
        counted(run.metric_count, "metric point"),
    ]
    by = f" It was captured by {counted(run.worker_count, 'worker')}{lost}." if run.worker_count else ""
    return (
        f"Run **{escaped(run.name)}** of project **{escaped(run.project_name)}** {state}{took}. "
        f"It holds {', '.join(held[:-1])} and {held[-1]}.{by}"
    )


def _workers(parts: SectionParts, facts: RunFacts) -> None:
    ordered = sorted(facts.workers, key=lambda worker: (worker.rank is None, worker.rank or 0, worker.opened_at))
    rows = [
        (
            worker.rank, worker.status, worker.host, worker.pid, worker.opened_at, worker.ended_at,
            worker.items, worker.dropped,
        )
        for worker in ordered
    ]  # fmt: skip
    columns = ("rank", "status", "host", "process", "opened", "ended", "items", "dropped")
    parts.table(columns, rows, title="Workers", total=facts.cut.get("workers"))


def _environment(parts: SectionParts, facts: RunFacts) -> None:
    environment = facts.environment
    if environment is None:
        return
    git = environment.git
    parts.properties(
        (
            ("Python", environment.python_version),
            ("platform", environment.platform),
            ("host", environment.host),
            ("command", " ".join(environment.command)),
            ("git", pairs_text(git)),
            ("packages", len(environment.packages)),
            ("captured", environment.captured_at),
        ),
        title="Environment",
    )
    parts.mapping(environment.packages, title="Packages", name="package")


def _stages(facts: RunFacts) -> ReportSection:
    parts = SectionParts("Stages", "" if facts.stages else "The run has no stages.")
    rows = [
        (
            stage.order, stage.name, stage.status, stage.started_at, stage.ended_at,
            seconds_between(stage.started_at, stage.ended_at), pairs_text(stage.metadata),
        )
        for stage in facts.stages
    ]  # fmt: skip
    columns = ("order", "stage", "status", "started", "ended", "duration (s)", "metadata")
    parts.table(columns, rows, total=facts.cut.get("stages"))
    return parts.section()


def _artifacts(facts: RunFacts) -> ReportSection:
    parts = SectionParts("Artifacts", "" if facts.artifacts else "The run has no artifacts.")
    wrong = sum(1 for artifact in facts.artifacts if artifact.problem)
    if wrong:
        parts.say(f"**{counted(wrong, 'artifact')}** cannot be vouched for: see the column `problem`.")
    rows = [
        (
            artifact.artifact_ref, artifact.kind, artifact.size_bytes,
            artifact.hash_value or ("pending" if artifact.hash_pending else ""),
            artifact.problem, artifact.location, artifact.created_at,
        )
        for artifact in facts.artifacts
    ]  # fmt: skip
    columns = ("artifact", "kind", "size (bytes)", "hash", "problem", "location", "created")
    parts.table(columns, rows, total=facts.cut.get("artifacts"))
    return parts.section()


def _batches(facts: RunFacts) -> ReportSection:
    parts = SectionParts("Batches", "" if facts.batches else "The run has no batches.")
    stages = {stage.stage_id: stage.name for stage in facts.stages}
    rows = [
        (
            stages.get(batch.stage_id, batch.stage_id), batch.order, batch.name, batch.status,
            batch.started_at, batch.ended_at, seconds_between(batch.started_at, batch.ended_at),
        )
        for batch in facts.batches
    ]  # fmt: skip
    columns = ("stage", "order", "batch", "status", "started", "ended", "duration (s)")
    parts.table(columns, rows, total=facts.cut.get("batches"))
    return parts.section()


def _deployments(facts: RunFacts) -> ReportSection:
    parts = SectionParts("Deployments", "" if facts.deployments else "Nothing was deployed from this run.")
    rows = [
        (deployment.name, deployment.status, deployment.artifact_ref, deployment.started_at, deployment.ended_at)
        for deployment in facts.deployments
    ]
    columns = ("deployment", "status", "artifact", "started", "ended")
    parts.table(columns, rows, total=facts.cut.get("deployments"))
    return parts.section()


def _samples(facts: RunFacts) -> ReportSection:
    parts = SectionParts("Samples", "" if facts.samples else "The run has no samples.")
    rows = [
        (
            sample.name, sample.batch_id or sample.stage_id, sample.observed_at,
            sample.retention_class, sample.redaction_profile, pairs_text(sample.metadata),
        )
        for sample in facts.samples
    ]  # fmt: skip
    columns = ("sample", "of", "observed", "retention", "redaction", "metadata")
    parts.table(columns, rows, total=facts.cut.get("samples"))
    return parts.section()


def _diagnostics(diagnostics: DiagnosticsResult) -> ReportSection:
    issues = sorted(diagnostics.issues, key=severity_order)
    parts = SectionParts("Diagnostics", evidence=diagnostics.evidence_links)
    if not issues:
        parts.say("No issues were found.")
    else:
        found = [
            f"**{counted(count, name)}**"
            for severity, name in (("error", "error"), ("warning", "warning"), ("info", "remark"))
            if (count := sum(1 for issue in issues if issue.severity == severity))
        ]
        parts.say("Found: " + ", ".join(found) + ".")
    rows = [
        (issue.severity, issue.summary, issue.code, issue.subject_ref, pairs_text(issue.details)) for issue in issues
    ]
    parts.table(("severity", "summary", "code", "subject", "details"), rows)
    return parts.section()


def _completeness(facts: RunFacts, diagnostics: DiagnosticsResult) -> ReportSection:
    dropped, degraded, cut = facts.dropped, facts.degraded, facts.cut
    whole = "" if dropped or degraded or cut else "Nothing is known to be missing."
    parts = notes_parts(diagnostics.completeness_notes, nothing=whole)
    parts.table(("reason", "records"), list(dropped.items()), title="Not kept")
    rows = [(record.key, record.message, record.degradation_marker, record.observed_at) for record in degraded]
    columns = ("record", "message", "degradation", "observed")
    parts.table(columns, rows, title="Degraded records", total=cut.get("degraded"))
    parts.table(("list", "in all"), list(cut.items()), title="Lists too long to be read whole")
    return parts.section()


def _provenance(facts: RunFacts) -> ReportSection:
    parts = SectionParts("Provenance", "Who says that the relations of this run hold.")
    relations = {relation.relation_ref: relation for relation in facts.relations}
    rows = []
    for view in facts.provenance:
        relation = relations.get(view.relation_ref)
        rows.append(
            (
                relation.source_ref if relation else "",
                relation.relation_type if relation else view.relation_ref,
                relation.target_ref if relation else "",
                view.assertion_mode,
                relation.confidence_marker if relation else "",
                view.asserted_at,
            )
        )
    columns = ("source", "relation", "target", "assertion", "confidence", "asserted")
    parts.table(columns, rows, total=facts.cut.get("provenance"))
    return parts.section()
