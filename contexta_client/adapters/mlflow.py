"""What is captured, as runs of MLflow.

Each run gets a run of MLflow of its name and times, in the experiment of its project, unless one is given. Metrics keep
their steps and times; events and degraded records become tags, spans their duration as a metric, artifacts tags that
say where they lie and how large they are. Files are not copied: that would hold the training up.

MLflow's runs carry the tags contexta.run and contexta.started_at, by which a replay finds the run that its records
belong to, also in another process and after the run ended.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import Any

from contexta.capture.results import PayloadFamily
from contexta.contract.times import parse_ns

from .payloads import cleaned, missing, plain

_NAMES = r"A-Za-z0-9_.\-/: "
_ENDINGS = {"completed": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
MAX_TAG = 5_000
RUN_TAG = "contexta.run"
STARTED_TAG = "contexta.started_at"


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
        self._made: set[str] = set()  # MLflow's ids of the runs that were made here, and are open
        self._making = Lock()
        self._pid = os.getpid()

    def capture(self, family: PayloadFamily, payload: Any) -> None:
        """Take one payload."""
        fields = plain(payload)
        if family is PayloadFamily.RECORD:
            self._record(fields["envelope"], fields["payload"])
        elif family is PayloadFamily.ARTIFACT:
            self._artifact(fields["manifest"])
        elif family is PayloadFamily.CONTEXT and "project_ref" in fields and "run_ref" in fields:
            self._context(fields)

    def close(self) -> None:
        """End the runs that were made here and are still open. Idempotent."""
        while self._made:
            self._client.set_terminated(self._made.pop())
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

    def _artifact(self, manifest: dict[str, Any]) -> None:
        run_ref = manifest.get("run_ref")
        if not run_ref:
            return  # of a deployment
        size = manifest.get("size_bytes")
        said = manifest["location_ref"] + ("" if size is None else f" ({size} bytes)")
        self._tag(run_ref, f"artifact.{manifest['artifact_kind']}", said)

    def _context(self, fields: dict[str, Any]) -> None:
        """A run that was opened or closed. A deployment names a run too, but has a reference of its own."""
        if "deployment_execution_ref" in fields:
            return
        run_id = self._run(fields["run_ref"], fields)
        ending = _ENDINGS.get(fields["status"])
        if ending and self._given is None:
            self._client.set_terminated(run_id, ending, _ms(fields.get("ended_at")))
            self._runs.pop(fields["run_ref"], None)
            self._made.discard(run_id)

    def _metric(self, run_ref: str, key: str, value: float, at_ms: int, step: int) -> None:
        self._client.log_metric(self._run(run_ref), _name(key), value, at_ms, step)

    def _tag(self, run_ref: str, key: str, value: str) -> None:
        self._client.set_tag(self._run(run_ref), _name(key), value[:MAX_TAG])

    def _run(self, run_ref: str, fields: dict[str, Any] | None = None) -> str:
        """Return MLflow's id for a run: known, found or made. fields: the run's own, where it is what is taken."""
        if self._given is not None:
            return self._given
        if self._pid != os.getpid():  # forked: the lock may be held by a thread that is not here
            self._pid, self._making = os.getpid(), Lock()
        with self._making:
            if run_ref not in self._runs:
                project = run_ref.partition(":")[2].partition(".")[0]
                experiment_id = self._experiment(project)
                found = self._find(experiment_id, run_ref, fields)
                self._runs[run_ref] = found or self._make(experiment_id, run_ref, fields)
            return self._runs[run_ref]

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except Exception:
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
                # another process, such as the next rank, was first
        return str(found.experiment_id)

    def _find(self, experiment_id: str, run_ref: str, fields: dict[str, Any] | None) -> str | None:
        """Return MLflow's id of the run's newest attempt, unless `fields` are those of another attempt."""
        where = f"tags.`{RUN_TAG}` = '{run_ref}'"
        order = ["attributes.start_time DESC"]
        newest = self._client.search_runs([experiment_id], where, max_results=1, order_by=order)
        if not newest:
            return None
        run_id = str(newest[0].info.run_id)
        if fields is None or newest[0].data.tags.get(STARTED_TAG) == fields["started_at"]:
            return run_id
        if STARTED_TAG in newest[0].data.tags:
            return None
        self._client.set_tag(run_id, STARTED_TAG, fields["started_at"])  # made for a record: its run comes only now
        return run_id

    def _make(self, experiment_id: str, run_ref: str, fields: dict[str, Any] | None) -> str:
        tags = {RUN_TAG: run_ref}
        name, started = run_ref.rpartition(".")[2], None
        if fields is not None:
            tags[STARTED_TAG] = fields["started_at"]
            name, started = fields["name"], _ms(fields["started_at"])
        made = self._client.create_run(experiment_id, start_time=started, run_name=name, tags=tags)
        run_id = str(made.info.run_id)
        self._made.add(run_id)
        return run_id


def _name(key: str) -> str:
    """Return a key as MLflow takes it: of its characters, and no path to elsewhere as `/a`, `a//b` and `../a` are."""
    parts = cleaned(key, _NAMES).split("/")
    return "/".join(part if part.strip(".") else "_" * max(1, len(part)) for part in parts)


def _ms(at: str | None) -> int | None:
    return None if at is None else parse_ns(at) // 1_000_000
