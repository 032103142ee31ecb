"""The scopes users hold: run, stage, batch, sample, operation, deployment.

`Scope.metric` and `Scope.log` are the hot path: with everything usual they do no more than look up an id, claim a
slot, and store. Whatever is unusual (a first use, other types, sinks, a full block, a fork, a closed scope) finds
an id missing or a block without room, and goes the long way in `capture_calls`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from contexta.capture.results import SUCCESS, BatchCaptureResult, CaptureResult
from contexta.contract.references import child_ref

from . import artifact_registration, capture_calls, scope_life
from .rows import NO_ROOM

if TYPE_CHECKING:
    from contexta.capture.emissions import Emission

    from .rows import Rows
    from .session import Recorder
    from .stream import Stream

_STEP = "step"
_RAW = "raw_observation"
_OWN_ERRORS = (KeyError, TypeError, ValueError, OverflowError)  # what the hot path itself raises on unusual input


class _NoRows:
    """Stands for the rows of a scope that is not declared: there is never room."""

    block = NO_ROOM
    check_at = 0


class Scope:
    """One scope. Always: `ids` and `group_scope_id` are empty and 0 when it is closed or not declared in the stream.

    rows: where its metrics go. ids: key -> scope id << 32 | key id, of the keys used with default arguments.
    """

    kind_name = ""
    kind_number = 0
    ref_kind = ""
    waits_when_closed = False
    no_rows: Any = _NoRows()

    def __init__(
        self,
        recorder: Recorder,
        name: str,
        *,
        ref: str,
        parent: Scope | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        self.recorder = recorder
        self.name = name
        self.ref = ref
        self.parent = parent
        self.outer = recorder.current.innermost()
        self.entered_from: Scope | None = None  # what was current before its `with` block, while it lasts
        self.fields = dict(fields or {})  # of its scope_opened entry
        self.status = "open"
        self.pid = os.getpid()
        self.opened_ns = time_ns()
        self.closed_ns = 0
        self.children: dict[int, Scope] = {}  # open ones
        self.stream: Stream | None = None  # where it is declared
        self.declaring = False  # under the lock: by a call that this thread may be in the middle of
        self.scope_id = 0
        self.group_scope_id = 0
        self.ids: dict[str, int] = {}
        self.other_ids: dict[Any, int] = {}
        self.rows: Rows = self.no_rows
        scope_life.opened(self)

    # --- the hot path ------------------------------------------------------------------------------------------------

    def metric(
        self,
        key: str,
        value: Any,
        *,
        unit: str | None = None,
        step: int | None = None,
        aggregation_scope: str = "step",
        tags: Mapping[str, Any] | None = None,
        summary_basis: str = "raw_observation",
    ) -> CaptureResult:
        """Capture one number. tags: at most 64 KiB as JSON, since they stand with every value.

        Raises ValidationError for what is no number and for wrong options, ClosedScopeError on a closed scope.
        """
        if (
            value.__class__ is float
            and unit is None
            and tags is None
            and aggregation_scope is _STEP
            and summary_basis is _RAW
            and (step is None or step.__class__ is int)  # numpy's own integers would wrap round below
        ):
            index = -2
            try:
                rows = self.rows
                claim, capacity, values, all_series, steps, times = block = rows.block
                series = self.ids[key]
                index = -1
                index = claim()
                if index < capacity:
                    values[index] = value
                    all_series[index] = series
                    if step is not None:
                        steps[index] = step + 1 if step >= 0 else step
                    times[index] = now = time_ns()
                    if now < rows.check_at:
                        return SUCCESS
            except _OWN_ERRORS as error:
                if index != -2:
                    rows.abandon(block, index)
                # From a signal handler, or a step's own method. The trace has no name here: with one it would hold
                # itself, by way of this frame, and a block of memory with it.
                if error.__traceback__.tb_next is not None:  # type: ignore[union-attr]
                    raise
            except BaseException:
                if index != -2:
                    rows.abandon(block, index)
                raise
            else:
                if index < capacity:
                    return rows.look(now)
        return capture_calls.metric(self, key, value, unit, step, aggregation_scope, tags, summary_basis)

    def log(self, metrics: Mapping[str, Any], *, step: int | None = None) -> CaptureResult:
        """Capture many numbers in one call, all with one time and one step. Raises as `metric` does."""
        scope_id = self.group_scope_id
        if scope_id:
            index = -2
            try:
                rows = self.rows
                stream = self.stream
                numbers = metrics.values()
                group = stream.groups.known.get((tuple(metrics), tuple(map(type, numbers))))  # type: ignore[union-attr]
                if group is not None and group.plain and scope_id == self.group_scope_id:
                    claim, capacity, memory = block = group.block
                    if step is None:
                        encoded = 0
                    elif step.__class__ is int:
                        encoded = step + 1 if step >= 0 else step
                    else:
                        raise TypeError  # the long way
                    index = -1
                    index = claim()
                    if index < capacity:
                        now = time_ns()
                        group.pack(memory, index * group.row_bytes, *numbers, encoded, scope_id, now)
                        if now < rows.check_at:
                            return SUCCESS
            except (*_OWN_ERRORS, AttributeError, capture_calls.PackError) as error:
                if index != -2:
                    group.abandon(block, index)  # type: ignore[union-attr]
                if error.__traceback__.tb_next is not None:  # type: ignore[union-attr]
                    raise
            except BaseException:
                if index != -2:
                    group.abandon(block, index)  # type: ignore[union-attr]
                raise
            else:
                if index >= 0 and index < capacity:
                    return rows.look(now)
        return capture_calls.log(self, metrics, step)

    # --- everything else that is captured ----------------------------------------------------------------------------

    def event(
        self,
        key: str,
        *,
        message: str,
        level: str = "info",
        attributes: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> CaptureResult:
        """Capture that something happened. level: debug, info, warning, error, critical."""
        return capture_calls.event(self, key, message, level, attributes, tags)

    def span(
        self,
        name: str,
        *,
        started_at: datetime | str | None = None,
        ended_at: datetime | str | None = None,
        status: str = "ok",
        span_kind: str = "operation",
        attributes: Mapping[str, Any] | None = None,
        linked_refs: Sequence[str] | None = None,
        parent_span_id: str | None = None,
    ) -> CaptureResult:
        """Capture a stretch of time. The result's payload has its `span_id` and `trace_id`."""
        return capture_calls.span(
            self, name, started_at, ended_at, status, span_kind, attributes, linked_refs, parent_span_id
        )

    def register_artifact(
        self,
        artifact_kind: str,
        path: str | os.PathLike[str],
        *,
        artifact_ref: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        compute_hash: bool = True,
        allow_missing: bool = False,
    ) -> CaptureResult:
        """Register a file or folder; returns at once. The result's payload has its `manifest`; the hash follows.

        Raises ValidationError when nothing is at the path, unless allow_missing, and when the path is not UTF-8.
        """
        return artifact_registration.register(
            self,
            artifact_kind,
            path,
            artifact_ref=artifact_ref,
            attributes=attributes,
            compute_hash=compute_hash,
            allow_missing=allow_missing,
        )

    def emit_metrics(self, emissions: Sequence[Emission | Mapping[str, Any]]) -> BatchCaptureResult:
        """Capture metrics given as MetricEmission or mappings. All are checked for their shape before the first."""
        return capture_calls.emit(self, "MetricEmission", emissions)

    def emit_events(self, emissions: Sequence[Emission | Mapping[str, Any]]) -> BatchCaptureResult:
        """Capture events given as EventEmission or mappings."""
        return capture_calls.emit(self, "EventEmission", emissions)

    def emit_spans(self, emissions: Sequence[Emission | Mapping[str, Any]]) -> BatchCaptureResult:
        """Capture spans given as SpanEmission or mappings."""
        return capture_calls.emit(self, "SpanEmission", emissions)

    def register_artifacts(self, emissions: Sequence[Emission | Mapping[str, Any]]) -> BatchCaptureResult:
        """Register files given as ArtifactRegistrationEmission or mappings."""
        return capture_calls.emit(self, "ArtifactRegistrationEmission", emissions)

    # --- its life ----------------------------------------------------------------------------------------------------

    @property
    def started_at(self) -> str:
        """When it was opened, as ISO-8601 text in UTC."""
        return scope_life.time_text(self.opened_ns)

    @property
    def closed_at(self) -> str | None:
        """When it was closed, None while it is open."""
        return scope_life.time_text(self.closed_ns) if self.closed_ns else None

    def close(self, status: str = "completed", *, reason: str | BaseException = "") -> None:
        """Close it, and what is open in it, as completed, failed or cancelled. A second time does nothing.

        reason: text, or an exception, of which is kept what an exception that leaves the `with` block would leave.
        Closing a run or a deployment waits, for `capture.exit_timeout_s` at most, until its records are settled.
        """
        scope_life.close(self, status, reason)

    def __enter__(self) -> Self:
        scope_life.entered(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status, reason = scope_life.outcome(kind, error, self.recorder.config.security.secret_names)
        self.close(status, reason=reason)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ref} {self.status}>"

    def _child(self, kind: type[Any], name: str, **fields: Any) -> Any:
        capture_calls.check_open(self)
        ref = child_ref(kind.ref_kind, self.ref, capture_calls.component(name, kind.kind_name))
        scope_life.check_size(self.recorder, kind.kind_name, {"name": name, **fields})
        return kind(self.recorder, name, ref=ref, parent=self, fields=fields)


class SampleScope(Scope):
    """One observed sample of a stage or a batch."""

    kind_name, kind_number, ref_kind = "sample", 4, "sample"


class OperationScope(Scope):
    """One operation inside a stage or a batch."""

    kind_name, kind_number, ref_kind = "operation", 5, "op"


class _Inner(Scope):
    """What samples and operations can be opened in."""

    def sample(
        self, name: str, *, retention_class: str | None = None, redaction_profile: str | None = None
    ) -> SampleScope:
        """Open a sample."""
        fields = {"retention_class": retention_class, "redaction_profile": redaction_profile}
        scope: SampleScope = self._child(SampleScope, name, **capture_calls.texts(fields))
        return scope

    def operation(self, name: str) -> OperationScope:
        """Open an operation."""
        scope: OperationScope = self._child(OperationScope, name)
        return scope


class BatchScope(_Inner):
    """One batch of a stage: an epoch, a fold, a shard."""

    kind_name, kind_number, ref_kind = "batch", 3, "batch"


class StageScope(_Inner):
    """One stage of a run: train, evaluate, package."""

    kind_name, kind_number, ref_kind = "stage", 2, "stage"

    def batch(self, name: str) -> BatchScope:
        """Open a batch."""
        scope: BatchScope = self._child(BatchScope, name)
        return scope


class RunScope(Scope):
    """One run. Leaving it waits, within bounds, until its records are settled."""

    kind_name, kind_number, ref_kind = "run", 1, "run"
    waits_when_closed = True

    def stage(self, name: str, *, metadata: Mapping[str, Any] | None = None) -> StageScope:
        """Open a stage."""
        scope: StageScope = self._child(StageScope, name, metadata_json=capture_calls.json_of("metadata", metadata))
        return scope


class DeploymentScope(Scope):
    """One deployment. Leaving it waits, within bounds, until its records are settled."""

    kind_name, kind_number, ref_kind = "deployment", 6, "deployment"
    waits_when_closed = True
