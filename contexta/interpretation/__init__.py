"""The shapes of questions and answers, and the pure functions between them. Names are imported when first used."""

from __future__ import annotations

from .._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .asking import (
        AlertReport,
        AlertResult,
        AlertRule,
        MetricCondition,
        RunListQuery,
        TimeRange,
    )
    from .findings import (
        AnomalyResult,
        ArtifactChange,
        CompletenessNote,
        DiagnosticsIssue,
        DiagnosticsResult,
        EnvironmentDiff,
        EvidenceLink,
        LineageTraversal,
        MetricDelta,
        MultiRunComparison,
        MultiRunMetricRow,
        ReportDocument,
        ReportSection,
        ReproducibilityAudit,
        RunComparison,
        RunSnapshot,
        StageComparison,
    )
    from .observed import (
        ArtifactRecord,
        BatchRecord,
        DeploymentRecord,
        ObservationRecord,
        ProjectRecord,
        ProvenanceView,
        RelationRecord,
        RunRecord,
        SampleRecord,
        StageRecord,
    )
    from .series import (
        ArtifactSizeTrend,
        DurationTrend,
        MetricAggregate,
        MetricTrend,
        StepPoint,
        StepSeries,
        TrendPoint,
    )

__all__ = [
    "AlertReport",
    "AlertResult",
    "AlertRule",
    "AnomalyResult",
    "ArtifactChange",
    "ArtifactRecord",
    "ArtifactSizeTrend",
    "BatchRecord",
    "CompletenessNote",
    "DeploymentRecord",
    "DiagnosticsIssue",
    "DiagnosticsResult",
    "DurationTrend",
    "EnvironmentDiff",
    "EvidenceLink",
    "LineageTraversal",
    "MetricAggregate",
    "MetricCondition",
    "MetricDelta",
    "MetricTrend",
    "MultiRunComparison",
    "MultiRunMetricRow",
    "ObservationRecord",
    "ProjectRecord",
    "ProvenanceView",
    "RelationRecord",
    "ReportDocument",
    "ReportSection",
    "ReproducibilityAudit",
    "RunComparison",
    "RunListQuery",
    "RunRecord",
    "RunSnapshot",
    "SampleRecord",
    "StageComparison",
    "StageRecord",
    "StepPoint",
    "StepSeries",
    "TimeRange",
    "TrendPoint",
]

_HOMES = dict.fromkeys(__all__, "findings")
_HOMES |= dict.fromkeys(
    (
        "AlertReport",
        "AlertResult",
        "AlertRule",
        "MetricCondition",
        "RunListQuery",
        "TimeRange",
    ),
    "asking",
)
_HOMES |= dict.fromkeys(
    (
        "ArtifactRecord",
        "BatchRecord",
        "DeploymentRecord",
        "ObservationRecord",
        "ProjectRecord",
        "ProvenanceView",
        "RelationRecord",
        "RunRecord",
        "SampleRecord",
        "StageRecord",
    ),
    "observed",
)
_HOMES |= dict.fromkeys(
    (
        "ArtifactSizeTrend",
        "DurationTrend",
        "MetricAggregate",
        "MetricTrend",
        "StepPoint",
        "StepSeries",
        "TrendPoint",
    ),
    "series",
)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
