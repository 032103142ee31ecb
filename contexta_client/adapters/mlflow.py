"""What is captured, as runs of MLflow.

Each run gets a run of MLflow of its name, in the experiment of its project, unless one is given. Metrics keep their
steps and times; events and degraded records become tags, spans their duration as a metric, artifacts tags that say
where they lie and how large they are. Files are not copied: that would hold the training up.
"""

from __future__ import annotations

from typing import Any

from contexta.capture.results import PayloadFamily
from contexta.contract.times import parse_ns

from .payloads import cleaned, missing, plain

_NAMES = r"A-Za-z0-9_.\-/: "
_ENDINGS = {"completed": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
MAX_TAG = 5_000


class MLflowSink:
    """Writes through MLflow's client, in the capturing thread, to the tracking store that MLflow is set up for."""

    def __init__(self, run_id: str | None = None, name: str = "mlflow") -> None:
        """run_id: of an open run of MLflow that takes everything; None: runs are made. Raises DependencyError."""
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise missing("mlflow", "mlflow", error) from error
        self.name = name
        self._client = MlflowClient()
        self._given = run_id
        self._runs: dict[str, str] = {}  # run reference -> MLflow's id

    def capture(self, family: PayloadFamily, payload: Any) -> None:
        """Take one payload."""
        fields = plain(payload)
        if family is PayloadFamily.RECORD:
            self._record(fields["envelope"], fields["payload"])
        elif family is PayloadFamily.ARTIFACT:
            manifest = fields["manifest"]
            said = f"{manifest['location_ref']} ({manifest.get('size_bytes', '?')} bytes)"
            self._tag(manifest["run_ref"], f"artifact.{manifest['artifact_kind']}", said)
        elif family is PayloadFamily.CONTEXT and "project_ref" in fields and "run_ref" in fields:
            self._context(fields)

    def close(self) -> None:
        """End the runs that were made and are still open. Idempotent."""
        for run_id in self._runs.values():
            self._client.set_terminated(run_id)
        self._runs.clear()

    def _record(self, envelope: dict[str, Any], body: dict[str, Any]) -> None:
        run_ref = envelope.get("run_ref")
        if not run_ref:
            return  # of a deployment, which MLflow has no run for
        at_ms = parse_ns(envelope["observed_at"]) // 1_000_000
        kind = envelope["record_type"]
        if kind == "metric":
            self._metric(run_ref, body["metric_key"], float(body["value"]), at_ms, body.get("step") or 0)
        elif kind == "span":
            seconds = (parse_ns(body["ended_at"]) - parse_ns(body["started_at"])) / 1e9
            self._metric(run_ref, f"span.{body['span_name']}.seconds", seconds, at_ms, 0)
        else:
            key = body.get("event_key") or body.get("issue_key") or kind
            self._tag(run_ref, f"{kind}.{key}", body.get("message") or body.get("summary") or "")

    def _context(self, fields: dict[str, Any]) -> None:
        """A run that was opened or closed. A deployment names a run too, but has a reference of its own."""
        if "deployment_execution_ref" in fields:
            return
        run_id = self._run(fields["run_ref"], fields.get("name"))
        ending = _ENDINGS.get(fields["status"])
        if ending and self._given is None:
            self._client.set_terminated(run_id, ending)
            self._runs.pop(fields["run_ref"], None)

    def _metric(self, run_ref: str, key: str, value: float, at_ms: int, step: int) -> None:
        self._client.log_metric(self._run(run_ref), cleaned(key, _NAMES), value, at_ms, step)

    def _tag(self, run_ref: str, key: str, value: str) -> None:
        self._client.set_tag(self._run(run_ref), cleaned(key, _NAMES), value[:MAX_TAG])

    def _run(self, run_ref: str, name: str | None = None) -> str:
        if self._given is not None:
            return self._given
        found = self._runs.get(run_ref)
        if found is None:
            project, _, component = run_ref.partition(":")[2].partition(".")
            experiment = self._client.get_experiment_by_name(project)
            experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(project)
            made = self._client.create_run(experiment_id, run_name=name or component, tags={"contexta.run": run_ref})
            found = self._runs[run_ref] = made.info.run_id
        return found
