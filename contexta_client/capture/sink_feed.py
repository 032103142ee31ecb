"""What the user's own sinks get: each captured thing as a model of the contract, in the caller, in their order.

Only with such a sink are models built in the training process. A sink that raises is noted once, as a warning and a
degraded record, and never disturbs the call; what it did not take waits in the outbox (contexta_client.recovery).
Record references made here end in `-c<number>`: the daemon numbers its own by a session's sequence, which a caller
cannot know.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from time import time_ns
from typing import TYPE_CHECKING, Any

from contexta.capture.results import PayloadFamily
from contexta.contract.json_text import jsonable

from .notices import say_once, told
from .scope_life import time_text

if TYPE_CHECKING:
    from contexta.capture.sinks import Sink

    from .scopes import Scope
    from .session import Recorder

PRODUCER = "contexta.capture"
SCOPE_FIELDS = {
    "run": "run_ref",
    "deployment": "deployment_execution_ref",
    "stage": "stage_execution_ref",
    "batch": "batch_execution_ref",
    "sample": "sample_observation_ref",
    "operation": "operation_context_ref",
}


def enclosing_refs(scope: Scope) -> dict[str, str]:
    """Return the references of a scope and of what it is in, by the contract's field names."""
    refs: dict[str, str] = {}
    inner: Scope | None = scope
    while inner is not None:
        refs[SCOPE_FIELDS[inner.kind_name]] = inner.ref
        if inner.kind_name == "deployment" and inner.fields.get("run_ref"):
            refs["run_ref"] = inner.fields["run_ref"]
        inner = inner.parent
    return refs


class SinkFeed:
    """Feeds the user's sinks of one recorder. Does nothing when there are none."""

    def __init__(self, recorder: Recorder, sinks: Sequence[Sink]) -> None:
        self.sinks = tuple(sinks)
        self._recorder = recorder
        self._numbers = count()
        self._failed: set[str] = set()
        self._outbox = os.path.abspath(recorder.config.workspace.cache_path / "outbox")  # noqa: PTH100

    def scope(self, scope: Scope) -> None:
        """Hand over a scope that was opened or closed, as its model."""
        if self.sinks:
            self._hand_over(PayloadFamily.CONTEXT, lambda: _scope_model(scope), scope)

    def metric(
        self,
        scope: Scope,
        key: str,
        value: float | int,
        value_type: str,
        unit: str | None,
        step: Any,
        aggregation_scope: str,
        tags: Mapping[str, Any] | None,
        summary_basis: str,
    ) -> None:
        """Hand over a metric."""
        payload = {
            "metric_key": key,
            "value": bool(value) if value_type == "bool" else value,
            "value_type": value_type,
            "unit": unit,
            "aggregation_scope": aggregation_scope,
            "tags": tags,
            "summary_basis": summary_basis,
            "step": None if step is None else int(step),
        }
        self._record(scope, "metric", payload)

    def event(self, scope: Scope, key: str, message: str, level: str, attributes: Any) -> None:
        """Hand over an event."""
        payload = {"event_key": key, "level": level, "message": message, "attributes": attributes}
        self._record(scope, "event", payload)

    def span(self, scope: Scope, fields: Mapping[str, Any], attributes: Any) -> None:
        """Hand over a span; fields as of its entry."""
        payload = {
            "span_id": fields["span_id"],
            "trace_id": fields["trace_id"],
            "parent_span_id": fields["parent_span_id"] or None,
            "span_name": fields["name"],
            "started_at": time_text(fields["started_ns"]),
            "ended_at": time_text(fields["ended_ns"]),
            "status": fields["status"],
            "span_kind": fields["span_kind"],
            "attributes": attributes,
            "linked_refs": tuple(fields["linked_ref"]),
        }
        self._record(scope, "span", payload)

    def artifact(self, scope: Scope, payload: Callable[[], Mapping[str, Any]]) -> None:
        """Hand over an artifact's registration: manifest, binding_status, source."""
        if self.sinks:
            self._hand_over(PayloadFamily.ARTIFACT, payload, scope)

    def _record(self, scope: Scope, record_type: str, payload: Mapping[str, Any]) -> None:
        if not self.sinks:
            return

        def build() -> Any:
            from contexta.contract.records import RECORD_OF_TYPE

            now = time_text(time_ns())
            refs = enclosing_refs(scope)
            owner = refs.get("run_ref") or refs["deployment_execution_ref"]
            session = (self._recorder.session_id or bytes(16)).hex()[:12]
            envelope = {
                "record_ref": f"record:{owner.partition(':')[2]}.{record_type}-{session}-c{next(self._numbers):x}",
                "record_type": record_type,
                "recorded_at": now,
                "observed_at": now,
                "producer_ref": PRODUCER,
                "correlation_refs": {"session_id": session},
                "rank": self._recorder.worker.rank,
                **refs,
            }
            # With texts as keys, as they stand in the store.
            free = {name: jsonable(payload[name]) for name in ("attributes", "tags") if payload.get(name) is not None}
            return RECORD_OF_TYPE[record_type].from_dict({"envelope": envelope, "payload": {**payload, **free}})

        self._hand_over(PayloadFamily.RECORD, build, scope)

    def _hand_over(self, family: PayloadFamily, build: Callable[[], Any], scope: Scope) -> None:
        try:
            payload = build()
        except Exception as error:
            self._note("(building the payload)", error, scope)
            return
        for sink in self.sinks:
            try:
                sink.capture(family, payload)
            except Exception as error:
                name = _name_of(sink)
                self._note(name, error, scope)
                self._keep(name, family, payload, error)

    def _keep(self, name: str, family: PayloadFamily, payload: Any, error: Exception) -> None:
        try:
            from contexta_client.recovery import outbox

            kept = outbox.keep(self._outbox, name, family, payload, error)
        except Exception:  # nothing can be imported while the interpreter ends
            kept = False
        if not kept:
            said = f"the outbox of the sink {name!r} in {self._outbox} takes no more; what the sink misses now is lost"
            say_once(f"outbox {name}", said)

    def _note(self, name: str, error: Exception, scope: Scope) -> None:
        if name in self._failed:
            return
        self._failed.add(name)
        summary = f"the sink {name!r} failed and misses what was captured: {told(error)}"[:1000]
        say_once(f"sink {name}", summary)
        self._recorder.degraded("sink-failed", summary, scope)


def _name_of(sink: Sink) -> str:
    try:
        return str(sink.name)
    except Exception:  # it has none, or one that cannot be told
        return type(sink).__name__


def _scope_model(scope: Scope) -> Any:
    from contexta.contract import entities

    refs = enclosing_refs(scope)
    project_ref = f"project:{scope.ref.partition(':')[2].split('.')[0]}"
    lasting = {"status": scope.status, "started_at": scope.started_at, "ended_at": scope.closed_at}
    observed = {"observed_at": scope.started_at}
    kept = ("retention_class", "redaction_profile", "artifact_ref", "environment_snapshot_ref")
    extra = {name: scope.fields[name] for name in kept if scope.fields.get(name)}
    models: dict[str, tuple[type[Any], dict[str, Any]]] = {
        "run": (entities.Run, {"project_ref": project_ref, "name": scope.name, **lasting}),
        "stage": (entities.StageExecution, {"stage_name": scope.name, **lasting}),
        "batch": (entities.BatchExecution, {"batch_name": scope.name, **lasting}),
        "sample": (entities.SampleObservation, {"sample_name": scope.name, **observed}),
        "operation": (entities.OperationContext, {"operation_name": scope.name, **observed}),
        "deployment": (
            entities.DeploymentExecution,
            {"project_ref": project_ref, "deployment_name": scope.name, **lasting},
        ),
    }
    model, values = models[scope.kind_name]
    return model(**{**refs, **values, **extra})
