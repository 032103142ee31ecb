"""What `Contexta` answers: each question is one call to the daemon, and nothing is imported before the first one.

A run is named by its reference, or by an unambiguous end of it (`iris-svm.linear-svm`, `linear-svm`). All questions
raise NotFoundError, which names the nearest, AmbiguousError, which lists the candidates, ValidationError for what
cannot be asked, and UnavailableError or DeadlineError when the daemon cannot answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .asking_of_many import AskingOfMany

if TYPE_CHECKING:
    from contexta.interpretation import (
        ArtifactOrigin,
        ArtifactRecord,
        BatchRecord,
        DeploymentRecord,
        DiagnosticsResult,
        EnvironmentDiff,
        LineageTraversal,
        MetricCondition,
        MultiRunComparison,
        ProjectRecord,
        ProvenanceView,
        ReproducibilityAudit,
        RunComparison,
        RunListQuery,
        RunRecord,
        RunSnapshot,
        SampleRecord,
        SeriesSummary,
        StageRecord,
        StepSeries,
        StragglerReport,
        TimeRange,
        WorkerRecord,
    )

    from .artifact_store.workspace_artifacts import WorkspaceArtifacts
    from .notebook import Notebook
    from .query.questions import Questions
    from .query.records import RecordStore
    from .query.stores import MetadataStore


class Asking(AskingOfMany):
    """The questions of a workspace."""

    @property
    def _lists(self) -> Questions:
        from .query.questions import Questions

        return Questions(self._connect())

    # --- stores ------------------------------------------------------------------------------------------------------

    @property
    def metadata_store(self) -> MetadataStore:
        """The canonical models: projects, runs, stages ... each `put_*`, `get_*`, `list_*`."""
        from .query.stores import MetadataStore

        connection = self._connect()
        return MetadataStore(connection, on_close=connection.close)

    @property
    def record_store(self) -> RecordStore:
        """The records: append, scan, replay, export_jsonl, check_integrity."""
        from .query.records import RecordStore

        return RecordStore(self._connect())

    @property
    def artifact_store(self) -> WorkspaceArtifacts:
        """The artifacts: put, get, read, verify, export; captured ones are found where they lie."""
        from contexta.errors import NotFoundError

        from .artifact_store.answers import VaultConfig
        from .artifact_store.store import ArtifactStore
        from .artifact_store.workspace_artifacts import WorkspaceArtifacts

        def lookup(ref: str) -> ArtifactRecord | None:
            found = captured(ref)
            return found[-1] if found else None

        def captured(ref: str | None = None) -> list[ArtifactRecord]:
            try:
                return self.list_artifacts(artifact_ref=ref)
            except NotFoundError:  # there is no workspace yet
                return []

        store = ArtifactStore(VaultConfig(root_path=self.config.workspace.artifacts_path))
        announce = self.metadata_store.artifacts.put
        return WorkspaceArtifacts(store, lookup=lookup, announce=announce, captured=captured)

    @property
    def notebook(self) -> Notebook:
        """Runs, comparisons and trends as a notebook shows them."""
        from .notebook import Notebook

        return Notebook(self)

    # --- lists -------------------------------------------------------------------------------------------------------

    def list_projects(self) -> list[ProjectRecord]:
        """Return the projects, the oldest first."""
        return self._lists.projects()

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
        instead of the other arguments.
        """
        from contexta.interpretation import RunListQuery

        return self._lists.runs(
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
        return self._lists.deployments(project_name, run_id)

    def list_stages(self, run_id: str) -> list[StageRecord]:
        """Return the stages of a run, in their order."""
        return self._lists.stages(run_id)

    def list_batches(self, run_id: str, stage_id: str | None = None) -> list[BatchRecord]:
        """Return the batches of a run, or of one of its stages, in their order."""
        return self._lists.batches(run_id, stage_id)

    def list_samples(
        self, run_id: str, stage_id: str | None = None, batch_id: str | None = None
    ) -> list[SampleRecord]:
        """Return the samples of a run, a stage or a batch, in the order observed."""
        return self._lists.samples(run_id, stage_id, batch_id)

    def list_artifacts(self, run_id: str | None = None, *, artifact_ref: str | None = None) -> list[ArtifactRecord]:
        """Return the artifacts of a run, those of a reference, or all, in the order registered."""
        return self._lists.artifacts(run_id, artifact_ref)

    def list_workers(self, run_id: str) -> list[WorkerRecord]:
        """Return the processes that captured into a run, by rank."""
        return self._lists.workers(run_id)

    def list_series(
        self, run_id: str, *, metric_key: str | None = None, stage_name: str | None = None
    ) -> list[SeriesSummary]:
        """Return every series of a run in numbers, by stage, key and rank; no point is read for it."""
        return self._lists.summaries(run_id, metric_key=metric_key, stage_name=stage_name)

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
        """
        return self._lists.series(
            run_id, metric_key, stage_id=stage_id, stage_name=stage_name, max_points=max_points, rank=rank
        )

    # --- one run, or a few -------------------------------------------------------------------------------------------

    def get_run_snapshot(self, run_id: str) -> RunSnapshot:
        """Return all about a run; its `records` are read page by page as they are looked at."""
        from .query.snapshots import run_snapshot

        return run_snapshot(self._connect(), run_id)

    def get_provenance(self, run_id: str) -> list[ProvenanceView]:
        """Return what supports the relations of a run."""
        return self._findings.provenance(run_id)

    def get_artifact_origin(self, artifact_ref: str) -> ArtifactOrigin:
        """Return the run and stage that an artifact came from, and the deployments it went to."""
        return self._findings.artifact_origin(artifact_ref)

    def compare_runs(self, left: str, right: str, *, policy: str = "latest") -> RunComparison:
        """Compare two runs stage by stage; delta is right - left. policy: latest, max, min or mean of each metric."""
        return self._findings.compare(left, right, policy=policy)

    def compare_multiple_runs(
        self, run_ids: Sequence[str], *, policy: str = "latest", lower_is_better: Sequence[str] = ()
    ) -> MultiRunComparison:
        """Compare runs in one table. lower_is_better: keys that their names do not show to be losses or the like."""
        return self._findings.compare_multiple(run_ids, policy=policy, lower_is_better=lower_is_better)

    def select_best_run(
        self,
        run_ids: Sequence[str],
        metric_key: str,
        *,
        stage_name: str | None = None,
        higher_is_better: bool = True,
        policy: str = "latest",
    ) -> str:
        """Return the id of the run with the best value of a metric, the first of equals. stage_name None: any stage.

        Raises NotFoundError when none of them has it.
        """
        return self._findings.best(
            run_ids, metric_key, stage_name=stage_name, higher_is_better=higher_is_better, policy=policy
        )

    def diagnose_run(self, run_id: str) -> DiagnosticsResult:
        """Return what is wrong with a run, errors first; every issue has a stable code."""
        return self._findings.diagnose(run_id)

    def find_stragglers(
        self, run_id: str, *, metric_key: str | None = None, threshold: float | None = None
    ) -> StragglerReport:
        """Return the ranks that are slower than their peers, in which stage, and from which step on.

        metric_key: whose times tell; None: the one that most ranks have. threshold: how late is late, as a part of a
        step's median time (0.2).
        """
        return self._findings.stragglers(run_id, metric_key=metric_key, threshold=threshold)

    def traverse_lineage(
        self, subject_ref: str, *, direction: str | None = None, max_depth: int | None = None
    ) -> LineageTraversal:
        """Walk over stored and implied relations. direction: upstream, downstream, None for both."""
        return self._findings.lineage(subject_ref, direction=direction, max_depth=max_depth)

    def audit_reproducibility(self, run_id: str) -> ReproducibilityAudit:
        """Return whether a run can be run again: `reproducible`, `partial` or `unknown`, and what is missing."""
        return self._findings.audit(run_id)

    def compare_environments(self, left: str, right: str) -> EnvironmentDiff:
        """Return how the environments of two runs differ."""
        return self._findings.compare_environments(left, right)
