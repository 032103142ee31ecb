"""`Contexta`: everything that a user does with a workspace, capturing and asking."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from contexta.config import UnifiedConfig, load_config
from contexta.errors import DeadlineError

from .capture.session import Recorder

if TYPE_CHECKING:
    from contexta.capture.sinks import Sink
    from contexta.contract import ArtifactManifest
    from contexta.interpretation import (
        ArtifactRecord,
        BatchRecord,
        DeploymentRecord,
        MetricCondition,
        ProjectRecord,
        RunListQuery,
        RunRecord,
        SampleRecord,
        StepSeries,
        TimeRange,
    )

    from .query.questions import Questions
    from .query.records import RecordStore

QUERY_FLUSH_S = 5.0


class Contexta:
    """A workspace and a project: opens runs and deployments, captures in the innermost scope, answers questions.

    Building one touches no disk, starts nothing and imports nothing heavy; only a question imports grpc.
    """

    def __init__(
        self,
        *,
        workspace: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        config: UnifiedConfig | Mapping[str, Any] | None = None,
        sinks: Sequence[Sink] | None = None,
    ) -> None:
        """workspace: its folder; `.contexta` unless the configuration says another. config: complete, or a nested
        patch. sinks: the user's own, called in the capturing thread besides what is kept.

        Raises ConfigError for a key that does not exist or a value it cannot take.
        """
        self.config = load_config(profile=profile, workspace=workspace, patch=config)
        self.recorder = recorder = Recorder(self.config, sinks=sinks)
        recorder.artifact_waiter = self._wait_for_hash
        self.run = recorder.run
        self.deployment = recorder.deployment
        self.current_run = recorder.current_run
        self.current_stage = recorder.current_stage
        self.current_batch = recorder.current_batch
        self.current_sample = recorder.current_sample
        self.current_operation = recorder.current_operation
        self.current_deployment = recorder.current_deployment
        self.metric = recorder.metric
        self.log = recorder.log
        self.event = recorder.event
        self.span = recorder.span
        self.register_artifact = recorder.register_artifact
        self.emit_metrics = recorder.emit_metrics
        self.emit_events = recorder.emit_events
        self.emit_spans = recorder.emit_spans
        self.register_artifacts = recorder.register_artifacts
        self.flush = recorder.flush
        self._questions: Questions | None = None
        self._records: RecordStore | None = None

    @classmethod
    def open(
        cls,
        *,
        workspace: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        config: UnifiedConfig | Mapping[str, Any] | None = None,
        sinks: Sequence[Sink] | None = None,
    ) -> Contexta:
        """The same as `Contexta(...)`."""
        return cls(workspace=workspace, profile=profile, config=config, sinks=sinks)

    @property
    def project_name(self) -> str:
        """The project that runs and deployments belong to."""
        return self.recorder.project_name

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """Where captured payloads go: the JSON Lines files that the daemon writes, and the user's own sinks."""
        return self.recorder.sinks

    def close(self) -> None:
        """Close what is open; wait, bounded, until all is durable and in the JSON Lines files. Twice is fine."""
        self.recorder.close()
        if self._questions is not None:
            self._questions.close()
            self._questions = self._records = None

    def __enter__(self) -> Contexta:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # what is still open did not complete
            from .capture.scope_life import outcome

            self.recorder.end(*outcome(kind, error), wait_s=self.config.capture.exit_timeout_s)
        self.close()

    # --- questions ---------------------------------------------------------------------------------------------------

    def list_projects(self) -> list[ProjectRecord]:
        """Return the projects, the oldest first."""
        return self._ask().projects()

    def list_runs(
        self,
        project_name: str | None = None,
        *,
        status: str | None = None,
        tags: Mapping[str, Any] | None = None,
        metric_conditions: Sequence[MetricCondition] = (),
        time_range: TimeRange | None = None,
        limit: int | None = None,
        offset: int = 0,
        sort_by: str | None = None,
        sort_desc: bool = False,
        query: RunListQuery | None = None,
    ) -> list[RunRecord]:
        """Return the newest attempt of each run that matches, the oldest first unless asked otherwise.

        time_range: of the start. sort_by: started_at, ended_at, name, status, project_name. query: all of it in one,
        instead of the other arguments. Raises ValidationError.
        """
        from contexta.interpretation import RunListQuery

        return self._ask().runs(
            query
            or RunListQuery(
                project_name=project_name,
                status=status,
                tags=tags,
                metric_conditions=tuple(metric_conditions),
                time_range=time_range,
                limit=limit,
                offset=offset,
                sort_by=sort_by,
                sort_desc=sort_desc,
            )
        )

    def list_deployments(self, project_name: str | None = None, run_id: str | None = None) -> list[DeploymentRecord]:
        """Return the deployments of a project, of a run, or all, the oldest first."""
        return self._ask().deployments(project_name, run_id)

    def list_batches(self, run_id: str, stage_id: str | None = None) -> list[BatchRecord]:
        """Return the batches of a run, or of one of its stages, in their order. Raises NotFoundError."""
        return self._ask().batches(run_id, stage_id)

    def list_samples(
        self, run_id: str, stage_id: str | None = None, batch_id: str | None = None
    ) -> list[SampleRecord]:
        """Return the samples of a run, a stage or a batch, in the order observed. Raises NotFoundError."""
        return self._ask().samples(run_id, stage_id, batch_id)

    def get_step_series(
        self,
        run_id: str,
        metric_key: str,
        *,
        stage_id: str | None = None,
        stage_name: str | None = None,
        max_points: int | None = None,
        rank: int | None = None,
    ) -> StepSeries:
        """Return the points of a metric in a run, ordered by step and time; those without a step come first.

        max_points: downsampled to at most as many, minima and maxima kept. rank: of one worker alone.
        Raises NotFoundError, which names the nearest run or metric.
        """
        return self._ask().series(
            run_id, metric_key, stage_id=stage_id, stage_name=stage_name, max_points=max_points, rank=rank
        )

    @property
    def record_store(self) -> RecordStore:
        """The captured records: `scan`, `export_jsonl`."""
        self._ask()
        assert self._records is not None
        return self._records

    def _ask(self) -> Questions:
        """Return the questions; they connect with the first one."""
        if self._questions is None:
            from .query.channel import Connection
            from .query.questions import Questions
            from .query.records import RecordStore

            autostart = self.config.daemon.autostart
            settings = self.config.for_services()
            connection = Connection(
                self.recorder.workspace, settings, autostart=autostart, before=self._flush_before_asking
            )
            self._questions, self._records = Questions(connection), RecordStore(connection)
        return self._questions

    def _flush_before_asking(self) -> None:
        """Let an answer hold what this process captured before the question; bounded, for a daemon that is away."""
        if self.recorder.session_id is not None:
            with contextlib.suppress(DeadlineError):
                self.flush(QUERY_FLUSH_S)

    def _wait_for_hash(self, manifest: ArtifactManifest, timeout: float | None) -> ArtifactManifest:
        """Return a manifest with the hash that the daemon computed. Raises DeadlineError after `timeout` seconds."""
        import dataclasses

        self.recorder.settle(timeout)
        found: list[ArtifactRecord] = self._ask().artifacts(artifact_ref=manifest.artifact_ref)
        if not found or found[-1].hash_pending:
            raise DeadlineError(f"The hash of {manifest.artifact_ref} is not there after {timeout} s; ask again later.")
        return dataclasses.replace(manifest, hash_value=found[-1].hash_value, size_bytes=found[-1].size_bytes)
