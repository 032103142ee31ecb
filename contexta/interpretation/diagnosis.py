"""What is wrong with a run: each finding has a stable code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from .facts import RunFacts, SeriesSummary
from .findings import CompletenessNote, DiagnosticsIssue, DiagnosticsResult, EvidenceLink
from .observed import ObservationRecord

EXPECTED_TERMINAL_STAGES = ("evaluate", "package")
SEVERITIES = ("error", "warning", "info")  # the worst first
_OWN_ISSUES = ("worker-lost", "records-dropped", "artifact-changed", "artifact-missing")  # have codes of their own
MAX_LISTED = 20


def diagnose_run(
    facts: RunFacts, *, expected_terminal_stages: Sequence[str] = EXPECTED_TERMINAL_STAGES
) -> DiagnosticsResult:
    """Return the issues of a run, errors first.

    expected_terminal_stages: one of these is missed, by its name or by the end of its reference; empty: none.
    """
    issues = [
        *_batches(facts),
        *_deployments(facts),
        *_stages(facts, expected_terminal_stages),
        *_degraded(facts),
        *_non_finite(facts),
        *_losses(facts),
        *_artifacts(facts),
    ]
    issues.sort(key=lambda issue: SEVERITIES.index(issue.severity))
    notes = [_cut_note(name, count) for name, count in facts.cut.items()]
    if facts.run.status == "open":
        notes.append(CompletenessNote("info", "The run is still open: what is missing may still come."))
    links = (EvidenceLink("run", facts.run.run_id, facts.run.name),)
    return DiagnosticsResult(facts.run.run_id, tuple(issues), tuple(notes), links)


def severity_of(record: ObservationRecord) -> str:
    """Return how bad a degraded record says that it is: one of SEVERITIES."""
    severity = str(record.payload.get("severity", ""))
    return severity if severity in SEVERITIES else "warning"


def _cut_note(name: str, count: int) -> CompletenessNote:
    which = "degraded records only the worst" if name == "degraded" else f"{name} only the first"
    return CompletenessNote("warning", f"Of {count} {which} were looked at.", {name: count})


def _issue(
    severity: str, code: str, summary: str, *, ref: str | None, kind: str = "run", **details: object
) -> DiagnosticsIssue:
    links = (EvidenceLink(kind, ref, summary),) if ref else ()
    return DiagnosticsIssue(severity, code, summary, details, ref, links)


def _because(reason: str | None) -> str:
    return f": {reason.rstrip('.')}" if reason else ""


def _batches(facts: RunFacts) -> Iterator[DiagnosticsIssue]:
    for batch in facts.batches:
        if batch.status == "failed":
            text = f"Batch {batch.name!r} failed{_because(batch.reason)}."
            yield _issue("error", "failed_batch", text, ref=batch.batch_id, kind="batch")
        elif batch.status not in ("completed", "open"):
            text = f"Batch {batch.name!r} ended {batch.status}."
            yield _issue("warning", "incomplete_batch", text, ref=batch.batch_id, kind="batch", status=batch.status)


def _deployments(facts: RunFacts) -> Iterator[DiagnosticsIssue]:
    for each in facts.deployments:
        if each.status == "failed":
            text = f"Deployment {each.name!r} of this run failed{_because(each.reason)}."
            yield _issue("error", "failed_deployment", text, ref=each.deployment_id, kind="deployment")


def _stages(facts: RunFacts, expected: Sequence[str]) -> Iterator[DiagnosticsIssue]:
    measured = {each.stage_id for each in facts.summaries}
    for stage in facts.stages:
        if stage.status != "completed":
            text = f"Stage {stage.name!r} is {stage.status}{_because(stage.reason)}."
            yield _issue("warning", "incomplete_stage", text, ref=stage.stage_id, kind="stage", status=stage.status)
        elif stage.stage_id not in measured:
            text = f"Stage {stage.name!r} is completed, but has no metric."
            yield _issue("info", "missing_stage_metrics", text, ref=stage.stage_id, kind="stage")
    named = {name for stage in facts.stages for name in (stage.name, stage.stage_id.rpartition(".")[2])}
    if expected and named.isdisjoint(expected):
        text = f"No stage is named {' or '.join(expected)}."
        yield _issue("info", "missing_expected_stage", text, ref=facts.run.run_id, expected=list(expected))


def _degraded(facts: RunFacts) -> Iterator[DiagnosticsIssue]:
    for record in facts.degraded:
        if record.key in _OWN_ISSUES:
            continue
        text = str(record.payload.get("summary") or record.message or record.key)
        yield _issue(
            severity_of(record), "degraded_record", text, ref=record.record_id, kind="record",
            degradation_marker=record.degradation_marker, issue_key=record.key,
        )  # fmt: skip


def _non_finite(facts: RunFacts) -> Iterator[DiagnosticsIssue]:
    by_metric: defaultdict[tuple[str | None, str], list[SeriesSummary]] = defaultdict(list)
    for each in facts.summaries:
        if each.non_finite:
            by_metric[each.stage_id, each.metric_key].append(each)
    for (stage_id, key), series in by_metric.items():
        first = min(series, key=_where_it_turned)
        step = first.first_non_finite_step
        where = "without a step" if step is None else f"at step {step}"
        rank = f" on rank {first.rank}" if first.rank is not None else ""
        count = sum(each.non_finite for each in series)
        yield _issue(
            "warning", "non_finite_metric", f"{key!r} turned NaN or infinite, first {where}{rank}; {count} points.",
            ref=stage_id or facts.run.run_id, kind="stage" if stage_id else "run", metric_key=key,
            stage_name=first.stage_name, first_step=step, first_rank=first.rank, points=count,
            ranks=[each.rank for each in series if each.rank is not None],
        )  # fmt: skip


def _where_it_turned(series: SeriesSummary) -> tuple[bool, int]:
    step = series.first_non_finite_step
    return step is None, step or 0


def _losses(facts: RunFacts) -> Iterator[DiagnosticsIssue]:
    lost = [worker for worker in facts.workers if worker.status == "lost"]
    if lost:
        names = [f"rank {w.rank}" if w.rank is not None else f"pid {w.pid}" for w in lost]
        listed = ", ".join(names[:MAX_LISTED]) + (" ..." if len(names) > MAX_LISTED else "")
        yield _issue(
            "error", "lost_worker", f"{len(lost)} of {len(facts.workers)} workers vanished: {listed}.",
            ref=facts.run.run_id, count=len(lost),
            workers=[{"rank": w.rank, "host": w.host, "pid": w.pid, "at": w.ended_at} for w in lost[:MAX_LISTED]],
        )  # fmt: skip
    count = sum(facts.dropped.values())
    if count:
        reasons = ", ".join(f"{number} {reason}" for reason, number in facts.dropped.items())
        yield _issue(
            "error", "dropped_records", f"{facts.dropped_text}: {reasons}.", ref=facts.run.run_id,
            count=count, reasons=dict(facts.dropped),
        )  # fmt: skip


def _artifacts(facts: RunFacts) -> Iterator[DiagnosticsIssue]:
    for each in facts.artifacts:
        if each.problem == "changed":
            text = f"Artifact {each.kind!r} changed after it was registered: {each.location}"
            yield _issue("error", "artifact_changed", text, ref=each.artifact_ref, kind="artifact")
        elif each.problem in ("missing", "unreadable") or each.binding_status in ("MISSING", "PENDING"):
            text = f"The file of artifact {each.kind!r} is {each.problem or 'not there'}: {each.location}"
            yield _issue("error", "artifact_missing", text, ref=each.artifact_ref, kind="artifact")
