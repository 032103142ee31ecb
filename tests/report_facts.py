"""A made-up run for the tests of reports: two stages, eight ranks, a metric that became NaN, hostile texts."""

from __future__ import annotations

import math
from typing import Any

from contexta.interpretation import (
    ArtifactRecord,
    BatchRecord,
    Chart,
    ChartLine,
    CompletenessNote,
    DeploymentRecord,
    DiagnosticsIssue,
    DiagnosticsResult,
    EnvironmentRecord,
    EvidenceLink,
    ObservationRecord,
    ProvenanceView,
    RelationRecord,
    RunFacts,
    RunRecord,
    SampleRecord,
    SeriesSummary,
    StageRecord,
    WorkerRecord,
)

RUN = "run:vision.resnet50-ddp"
TRAIN = "stage:vision.resnet50-ddp.train"
SCRIPT = "<script>document.title='ran'</script>"
IMAGE = '"><img src=x onerror="document.title=\'ran\'">'
HOSTILE = (
    SCRIPT,
    IMAGE,
    "a | b * c _ d ` e\nnew line",
    "</title></style></svg><b id=extra>",
    "=1+2",
    "\ud800 lone",
    "[x](javascript:alert(1))",
)
RANKS = 8


def run_record() -> RunRecord:
    return RunRecord(
        run_id=RUN,
        project_name="vision",
        name="resnet50-ddp",
        status="failed",
        started_at="2025-01-10T09:00:00Z",
        ended_at="2025-01-10T12:20:07.5Z",
        tags={"team": "perception", "purpose": HOSTILE[0], HOSTILE[1]: HOSTILE[2]},
        metadata={"gpus": 8, "precision": "bf16"},
        attempt=2,
        dataset_ref="artifact:vision.imagenet-2012",
        code_revision="4f2a9c1",
        config_snapshot={"lr": 0.1, "schedule": {"warmup": 5, "kind": "cosine"}, "augment": True},
        worker_count=RANKS,
        lost_worker_count=1,
        metric_count=1_284_000,
        dropped_count=12,
    )


def summary(key: str, *, rank: int | None = None, stage: str = "train", **given: Any) -> SeriesSummary:
    values: dict[str, Any] = {
        "count": 10_000, "non_finite": 0, "first": 6.9, "last": 1.1234567890123, "min": 1.0, "max": 6.95, "mean": 2.5,
        "std": 0.8, "unit": None, "last_step": 9_999,
    }  # fmt: skip
    return SeriesSummary(
        run_id=RUN,
        metric_key=key,
        stage_id=f"stage:vision.resnet50-ddp.{stage}",
        stage_name=stage,
        rank=rank,
        first_at="2025-01-10T09:00:05Z",
        last_at="2025-01-10T12:20:00Z",
        **(values | given),
    )


def summaries() -> tuple[SeriesSummary, ...]:
    times = [0.214, 0.215, 0.213, 0.216, 0.214, 0.391, 0.215, 0.214]
    lost: dict[str, Any] = {"last": math.nan, "non_finite": 37, "first_non_finite_step": 9_963}
    accuracy: dict[str, Any] = {"first": 0.001, "last": 0.7614, "min": 0.001, "max": 0.7622, "mean": 0.6, "std": 0.2}
    nothing: dict[str, Any] = {"min": None, "max": None, "mean": None, "std": None, "non_finite": 1}
    return (
        *(summary("loss", rank=rank, mean=2.5 + rank * 0.01, **lost) for rank in range(RANKS)),
        *(
            summary("step_time", rank=rank, unit="s", mean=time, last=time, min=0.2, max=0.6, std=0.02)
            for rank, time in enumerate(times)
        ),
        summary("learning_rate", first=0.1, last=2.5e-7, min=2.5e-7, max=0.1, mean=0.05, std=0.03),
        summary("accuracy", stage="evaluate", count=20, last_step=19, **accuracy),
        summary(HOSTILE[0], stage="evaluate", count=1, last=math.inf, **nothing),
    )


def _stages() -> tuple[StageRecord, ...]:
    rows = [
        ("load", "completed", "09:00:00Z", "09:03:12.25Z"),
        ("train", "failed", "09:03:12.25Z", "12:20:07.5Z"),
        ("evaluate", "cancelled", "12:20:07.5Z", "12:20:07.75Z"),
        (HOSTILE[0], "open", "12:20:07.5Z", None),
    ]
    return tuple(
        StageRecord(
            stage_id=f"stage:vision.resnet50-ddp.{name}",
            run_id=RUN,
            name=name,
            status=status,
            order=order,
            started_at=f"2025-01-10T{start}",
            ended_at=f"2025-01-10T{end}" if end else None,
            metadata={"epochs": 90} if name == "train" else {},
        )
        for order, (name, status, start, end) in enumerate(rows)
    )


def _artifacts() -> tuple[ArtifactRecord, ...]:
    rows = [
        ("checkpoint-60", "checkpoint", 102_458_112, "", "/data/vision/checkpoints/epoch-60.pt"),
        ("checkpoint-90", "checkpoint", 102_458_112, "changed", "/data/vision/checkpoints/epoch-90.pt"),
        ("report", HOSTILE[1], 8_214, "", f"/data/vision/{HOSTILE[3]}.html"),
    ]
    return tuple(
        ArtifactRecord(
            artifact_ref=f"artifact:vision.resnet50-ddp.{name}",
            run_id=RUN,
            stage_id=None,
            kind=kind,
            created_at="2025-01-10T11:00:00Z",
            location=f"path:{place}",
            hash_value=f"sha256:{'9f86d081884c7d65' * 4}",
            size_bytes=size,
            problem=problem,
        )
        for name, kind, size, problem, place in rows
    )


def _workers() -> tuple[WorkerRecord, ...]:
    start, end = "2025-01-10T09:00:00Z", "2025-01-10T12:20:07Z"
    return tuple(
        WorkerRecord(
            session_id=f"s{rank}",
            host=f"node-{rank // 4}",
            pid=4100 + rank,
            rank=rank,
            local_rank=rank % 4,
            world_size=RANKS,
            status="lost" if rank == 5 else "ended",
            opened_at=start,
            ended_at=None if rank == 5 else end,
            items=160_500,
            dropped=12 if rank == 5 else 0,
            inherited=False,
        )
        for rank in range(RANKS)
    )


def _batches(count: int) -> tuple[BatchRecord, ...]:
    start, end = "2025-01-10T09:03:13Z", "2025-01-10T09:03:14Z"
    return tuple(
        BatchRecord(f"batch:{number}", RUN, TRAIN, f"batch-{number}", "completed", number, start, end)
        for number in range(count)
    )


def run_facts(*, batches: int = 5, provenance: bool = True) -> RunFacts:
    """Return the facts; `batches` of 90 000 are listed."""
    checkpoint = f"artifact:{RUN[4:]}.checkpoint-60"
    at = "2025-01-10T11:00:00Z"
    relation = RelationRecord("relation:r1", "produced_by", checkpoint, RUN, at, "explicit_capture", "high")
    view = ProvenanceView(RUN, "provenance:p1", "relation:r1", "explicit", at)
    return RunFacts(
        run=run_record(),
        stages=_stages(),
        batches=_batches(batches),
        samples=(SampleRecord("sample:1", RUN, TRAIN, None, HOSTILE[4], at, "short", "faces"),),
        deployments=(DeploymentRecord("deployment:1", "vision", "canary", "completed", RUN, checkpoint, at),),
        artifacts=_artifacts(),
        relations=(relation,),
        provenance=(view,) if provenance else (),
        summaries=summaries(),
        degraded=(
            ObservationRecord(
                record_id="record:1",
                run_id=RUN,
                stage_id=TRAIN,
                batch_id=None,
                sample_id=None,
                record_type="degraded",
                key="capture.gap",
                observed_at=at,
                message=f"12 records were not kept {HOSTILE[5]}",
                degradation_marker="capture_gap",
            ),
        ),
        workers=_workers(),
        environment=EnvironmentRecord(
            environment_ref="environment:1",
            captured_at=at,
            python_version="3.11.9",
            platform="Linux-6.1-x86_64",
            packages={"torch": "2.5.1", "numpy": "2.1.0"},
            command=("torchrun", "train.py", "--lr", "0.1"),
            host="node-0",
            git={"commit": "4f2a9c1", "dirty": True},
        ),
        dropped={"spool_full": 12},
        cut={"batches": 90_000},
    )


def diagnostics() -> DiagnosticsResult:
    slow = "Rank 5 takes 1.8 times as long for a step as the others."
    lost = CompletenessNote("warning", "One worker was lost: what it had not sent is missing.", {"rank": 5})
    step = {"step": 9963, "ranks": 8}
    return DiagnosticsResult(
        run_id=RUN,
        issues=(
            DiagnosticsIssue("info", "open_stage", f"Stage {HOSTILE[0]} is open in a run that ended."),
            DiagnosticsIssue("error", "non_finite_metric", "loss was NaN from step 9963 on.", step, "metric:loss"),
            DiagnosticsIssue("warning", "straggler", slow, {"rank": 5}, RUN),
        ),
        completeness_notes=(lost,),
        evidence_links=(EvidenceLink("series", f"{RUN}/loss", HOSTILE[3]), EvidenceLink("run", RUN)),
    )


def curves() -> tuple[Chart, ...]:
    """Return two charts: losses of two stages, one of which becomes NaN, and a learning rate."""
    steps = tuple(float(step) for step in range(0, 10_000, 10))
    train = [0.9 + 6.0 * math.exp(-step / 1800) + 0.1 * math.sin(step * 0.37) for step in steps]
    train[-4:] = [math.nan] * 4
    validation = tuple(1.15 + 5.6 * math.exp(-step / 2100) for step in steps[::50])
    rate = tuple(0.1 * min(1.0, step / 500) * 0.5 * (1 + math.cos(math.pi * step / 10_000)) for step in steps)
    losses = (ChartLine("train", steps, tuple(train)), ChartLine(HOSTILE[0], steps[::50], validation))
    return (
        Chart("loss", "line", losses, "step", "cross-entropy"),
        Chart(f"learning_rate {HOSTILE[3]}", "line", (ChartLine("learning_rate", steps, rate),), "step"),
    )
