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
    from .facts import EnvironmentRecord, RunFacts, SeriesSummary, WorkerRecord
    from .findings import (
        AnomalyResult,
        ArtifactChange,
        ArtifactOrigin,
        Chart,
        ChartLine,
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
        Straggler,
        StragglerReport,
        Table,
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
    "ArtifactOrigin",
    "ArtifactRecord",
    "ArtifactSizeTrend",
    "BatchRecord",
    "Chart",
    "ChartLine",
    "CompletenessNote",
    "DeploymentRecord",
    "DiagnosticsIssue",
    "DiagnosticsResult",
    "DurationTrend",
    "EnvironmentDiff",
    "EnvironmentRecord",
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
    "RunFacts",
    "RunListQuery",
    "RunRecord",
    "RunSnapshot",
    "SampleRecord",
    "SeriesSummary",
    "StageComparison",
    "StageRecord",
    "StepPoint",
    "StepSeries",
    "Straggler",
    "StragglerReport",
    "Table",
    "TimeRange",
    "TrendPoint",
    "WorkerRecord",
]

_HOMES = dict.fromkeys(__all__, "findings")
_HOMES |= dict.fromkeys(("EnvironmentRecord", "RunFacts", "SeriesSummary", "WorkerRecord"), "facts")
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
