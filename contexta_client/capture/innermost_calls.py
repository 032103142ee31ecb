"""Capture calls that name no scope: they go to the innermost open one of this thread or task."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contexta.errors import LifecycleError

from .scopes import BatchScope, DeploymentScope, OperationScope, RunScope, SampleScope, Scope, StageScope

if TYPE_CHECKING:
    from contexta.capture.results import BatchCaptureResult, CaptureResult

    from .current import Current


class InnermostCalls:
    """The part of a recorder that a facade hands on as it is. The signatures are those of Scope."""

    current: Current
    roots: dict[int, Scope]
    _scope_here: Callable[[], Scope | None]

    def check_open(self) -> None:
        """Raise LifecycleError when nothing can be captured any more."""
        raise NotImplementedError

    def current_run(self) -> RunScope | None:
        """Return the innermost open run of this thread or task."""
        return self.current.nearest(RunScope)

    def current_stage(self) -> StageScope | None:
        """Return the innermost open stage of this thread or task."""
        return self.current.nearest(StageScope)

    def current_batch(self) -> BatchScope | None:
        """Return the innermost open batch of this thread or task."""
        return self.current.nearest(BatchScope)

    def current_sample(self) -> SampleScope | None:
        """Return the innermost open sample of this thread or task."""
        return self.current.nearest(SampleScope)

    def current_operation(self) -> OperationScope | None:
        """Return the innermost open operation of this thread or task."""
        return self.current.nearest(OperationScope)

    def current_deployment(self) -> DeploymentScope | None:
        """Return the innermost open deployment of this thread or task."""
        return self.current.nearest(DeploymentScope)

    def innermost(self) -> Scope:
        """Return the scope that a capture call without one belongs to. Raises LifecycleError when there is none.

        It is the innermost open one of this thread or task; in a thread that opened none, the only open run of the
        process.
        """
        scope = self.current.innermost()
        if scope is not None:
            return scope
        self.check_open()
        roots = list(self.roots.values())
        if len(roots) == 1:
            return roots[0]
        raise LifecycleError(
            "There is no open run here. Write `with ctx.run('name') as run:` around it"
            + (", or call the method on the run itself: several are open." if roots else "."),
            details={"open": [root.ref for root in roots]},
        )

    # --- capture in the innermost scope; the signatures are those of Scope -------------------------------------------

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
        """Capture one number in the innermost open scope."""
        scope = self._scope_here()
        if scope is None or scope.closed_ns:
            scope = self.innermost()
        if unit is None and tags is None and aggregation_scope == "step" and summary_basis == "raw_observation":
            return scope.metric(key, value, step=step)
        return scope.metric(
            key,
            value,
            unit=unit,
            step=step,
            aggregation_scope=aggregation_scope,
            tags=tags,
            summary_basis=summary_basis,
        )

    def log(self, metrics: Mapping[str, Any], *, step: int | None = None) -> CaptureResult:
        """Capture many numbers in the innermost open scope."""
        return self.innermost().log(metrics, step=step)

    def event(self, key: str, **options: Any) -> CaptureResult:
        """Capture an event in the innermost open scope."""
        return self.innermost().event(key, **options)

    def span(self, name: str, **options: Any) -> CaptureResult:
        """Capture a span in the innermost open scope."""
        return self.innermost().span(name, **options)

    def register_artifact(self, artifact_kind: str, path: str | os.PathLike[str], **options: Any) -> CaptureResult:
        """Register a file in the innermost open scope."""
        return self.innermost().register_artifact(artifact_kind, path, **options)

    def emit_metrics(self, emissions: Sequence[Any]) -> BatchCaptureResult:
        """Capture a sequence of metrics in the innermost open scope."""
        return self.innermost().emit_metrics(emissions)

    def emit_events(self, emissions: Sequence[Any]) -> BatchCaptureResult:
        """Capture a sequence of events in the innermost open scope."""
        return self.innermost().emit_events(emissions)

    def emit_spans(self, emissions: Sequence[Any]) -> BatchCaptureResult:
        """Capture a sequence of spans in the innermost open scope."""
        return self.innermost().emit_spans(emissions)

    def register_artifacts(self, emissions: Sequence[Any]) -> BatchCaptureResult:
        """Register a sequence of files in the innermost open scope."""
        return self.innermost().register_artifacts(emissions)
