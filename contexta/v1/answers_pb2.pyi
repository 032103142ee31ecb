from contexta.v1 import observed_pb2 as _observed_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union
from contexta.v1.observed_pb2 import Project as Project
from contexta.v1.observed_pb2 import Run as Run
from contexta.v1.observed_pb2 import Stage as Stage
from contexta.v1.observed_pb2 import BatchScope as BatchScope
from contexta.v1.observed_pb2 import Sample as Sample
from contexta.v1.observed_pb2 import Deployment as Deployment
from contexta.v1.observed_pb2 import Artifact as Artifact
from contexta.v1.observed_pb2 import Worker as Worker

DESCRIPTOR: _descriptor.FileDescriptor

class EvidenceLink(_message.Message):
    __slots__ = ("kind", "ref", "label")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    ref: str
    label: str
    def __init__(self, kind: _Optional[str] = ..., ref: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class CompletenessNote(_message.Message):
    __slots__ = ("severity", "summary", "details_json")
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    DETAILS_JSON_FIELD_NUMBER: _ClassVar[int]
    severity: str
    summary: str
    details_json: str
    def __init__(self, severity: _Optional[str] = ..., summary: _Optional[str] = ..., details_json: _Optional[str] = ...) -> None: ...

class Relation(_message.Message):
    __slots__ = ("relation_ref", "relation_type", "source_ref", "target_ref", "recorded_at", "origin_marker", "confidence_marker")
    RELATION_REF_FIELD_NUMBER: _ClassVar[int]
    RELATION_TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_REF_FIELD_NUMBER: _ClassVar[int]
    TARGET_REF_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_MARKER_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_MARKER_FIELD_NUMBER: _ClassVar[int]
    relation_ref: str
    relation_type: str
    source_ref: str
    target_ref: str
    recorded_at: str
    origin_marker: str
    confidence_marker: str
    def __init__(self, relation_ref: _Optional[str] = ..., relation_type: _Optional[str] = ..., source_ref: _Optional[str] = ..., target_ref: _Optional[str] = ..., recorded_at: _Optional[str] = ..., origin_marker: _Optional[str] = ..., confidence_marker: _Optional[str] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("run_id", "provenance_ref", "relation_ref", "assertion_mode", "asserted_at", "formation_context_ref", "policy_ref", "evidence_bundle_ref")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_REF_FIELD_NUMBER: _ClassVar[int]
    RELATION_REF_FIELD_NUMBER: _ClassVar[int]
    ASSERTION_MODE_FIELD_NUMBER: _ClassVar[int]
    ASSERTED_AT_FIELD_NUMBER: _ClassVar[int]
    FORMATION_CONTEXT_REF_FIELD_NUMBER: _ClassVar[int]
    POLICY_REF_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_BUNDLE_REF_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    provenance_ref: str
    relation_ref: str
    assertion_mode: str
    asserted_at: str
    formation_context_ref: str
    policy_ref: str
    evidence_bundle_ref: str
    def __init__(self, run_id: _Optional[str] = ..., provenance_ref: _Optional[str] = ..., relation_ref: _Optional[str] = ..., assertion_mode: _Optional[str] = ..., asserted_at: _Optional[str] = ..., formation_context_ref: _Optional[str] = ..., policy_ref: _Optional[str] = ..., evidence_bundle_ref: _Optional[str] = ...) -> None: ...

class SeriesSummary(_message.Message):
    __slots__ = ("run_id", "metric_key", "stage_id", "stage_name", "rank", "unit", "count", "non_finite", "first", "last", "min", "max", "mean", "std", "first_at", "last_at", "last_step", "first_non_finite_step")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NON_FINITE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    FIRST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    FIRST_NON_FINITE_STEP_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    metric_key: str
    stage_id: str
    stage_name: str
    rank: int
    unit: str
    count: int
    non_finite: int
    first: float
    last: float
    min: float
    max: float
    mean: float
    std: float
    first_at: str
    last_at: str
    last_step: int
    first_non_finite_step: int
    def __init__(self, run_id: _Optional[str] = ..., metric_key: _Optional[str] = ..., stage_id: _Optional[str] = ..., stage_name: _Optional[str] = ..., rank: _Optional[int] = ..., unit: _Optional[str] = ..., count: _Optional[int] = ..., non_finite: _Optional[int] = ..., first: _Optional[float] = ..., last: _Optional[float] = ..., min: _Optional[float] = ..., max: _Optional[float] = ..., mean: _Optional[float] = ..., std: _Optional[float] = ..., first_at: _Optional[str] = ..., last_at: _Optional[str] = ..., last_step: _Optional[int] = ..., first_non_finite_step: _Optional[int] = ...) -> None: ...

class RunSnapshot(_message.Message):
    __slots__ = ("run", "deployments", "stages", "batches", "samples", "artifacts", "relations", "evidence_links", "completeness_notes", "provenance", "record_count")
    RUN_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    RELATIONS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_LINKS_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_NOTES_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    run: _observed_pb2.Run
    deployments: _containers.RepeatedCompositeFieldContainer[_observed_pb2.Deployment]
    stages: _containers.RepeatedCompositeFieldContainer[_observed_pb2.Stage]
    batches: _containers.RepeatedCompositeFieldContainer[_observed_pb2.BatchScope]
    samples: _containers.RepeatedCompositeFieldContainer[_observed_pb2.Sample]
    artifacts: _containers.RepeatedCompositeFieldContainer[_observed_pb2.Artifact]
    relations: _containers.RepeatedCompositeFieldContainer[Relation]
    evidence_links: _containers.RepeatedCompositeFieldContainer[EvidenceLink]
    completeness_notes: _containers.RepeatedCompositeFieldContainer[CompletenessNote]
    provenance: _containers.RepeatedCompositeFieldContainer[Provenance]
    record_count: int
    def __init__(self, run: _Optional[_Union[_observed_pb2.Run, _Mapping]] = ..., deployments: _Optional[_Iterable[_Union[_observed_pb2.Deployment, _Mapping]]] = ..., stages: _Optional[_Iterable[_Union[_observed_pb2.Stage, _Mapping]]] = ..., batches: _Optional[_Iterable[_Union[_observed_pb2.BatchScope, _Mapping]]] = ..., samples: _Optional[_Iterable[_Union[_observed_pb2.Sample, _Mapping]]] = ..., artifacts: _Optional[_Iterable[_Union[_observed_pb2.Artifact, _Mapping]]] = ..., relations: _Optional[_Iterable[_Union[Relation, _Mapping]]] = ..., evidence_links: _Optional[_Iterable[_Union[EvidenceLink, _Mapping]]] = ..., completeness_notes: _Optional[_Iterable[_Union[CompletenessNote, _Mapping]]] = ..., provenance: _Optional[_Iterable[_Union[Provenance, _Mapping]]] = ..., record_count: _Optional[int] = ...) -> None: ...

class MetricDelta(_message.Message):
    __slots__ = ("metric_key", "left_value", "right_value", "delta", "change_ratio", "stage_name", "unit")
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    LEFT_VALUE_FIELD_NUMBER: _ClassVar[int]
    RIGHT_VALUE_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    CHANGE_RATIO_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    metric_key: str
    left_value: float
    right_value: float
    delta: float
    change_ratio: float
    stage_name: str
    unit: str
    def __init__(self, metric_key: _Optional[str] = ..., left_value: _Optional[float] = ..., right_value: _Optional[float] = ..., delta: _Optional[float] = ..., change_ratio: _Optional[float] = ..., stage_name: _Optional[str] = ..., unit: _Optional[str] = ...) -> None: ...

class StageComparison(_message.Message):
    __slots__ = ("stage_name", "left_stage_id", "right_stage_id", "left_status", "right_status", "metric_deltas", "completeness_notes", "evidence_links")
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    LEFT_STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    RIGHT_STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    LEFT_STATUS_FIELD_NUMBER: _ClassVar[int]
    RIGHT_STATUS_FIELD_NUMBER: _ClassVar[int]
    METRIC_DELTAS_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_NOTES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_LINKS_FIELD_NUMBER: _ClassVar[int]
    stage_name: str
    left_stage_id: str
    right_stage_id: str
    left_status: str
    right_status: str
    metric_deltas: _containers.RepeatedCompositeFieldContainer[MetricDelta]
    completeness_notes: _containers.RepeatedCompositeFieldContainer[CompletenessNote]
    evidence_links: _containers.RepeatedCompositeFieldContainer[EvidenceLink]
    def __init__(self, stage_name: _Optional[str] = ..., left_stage_id: _Optional[str] = ..., right_stage_id: _Optional[str] = ..., left_status: _Optional[str] = ..., right_status: _Optional[str] = ..., metric_deltas: _Optional[_Iterable[_Union[MetricDelta, _Mapping]]] = ..., completeness_notes: _Optional[_Iterable[_Union[CompletenessNote, _Mapping]]] = ..., evidence_links: _Optional[_Iterable[_Union[EvidenceLink, _Mapping]]] = ...) -> None: ...

class ArtifactChange(_message.Message):
    __slots__ = ("artifact_kind", "left_ref", "right_ref", "change", "change_detail")
    ARTIFACT_KIND_FIELD_NUMBER: _ClassVar[int]
    LEFT_REF_FIELD_NUMBER: _ClassVar[int]
    RIGHT_REF_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_DETAIL_FIELD_NUMBER: _ClassVar[int]
    artifact_kind: str
    left_ref: str
    right_ref: str
    change: str
    change_detail: str
    def __init__(self, artifact_kind: _Optional[str] = ..., left_ref: _Optional[str] = ..., right_ref: _Optional[str] = ..., change: _Optional[str] = ..., change_detail: _Optional[str] = ...) -> None: ...

class RunComparison(_message.Message):
    __slots__ = ("left_run_id", "right_run_id", "summary", "stage_comparisons", "artifact_changes", "completeness_notes", "evidence_links", "provenance_comparison_json")
    LEFT_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RIGHT_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    STAGE_COMPARISONS_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_CHANGES_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_NOTES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_LINKS_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_COMPARISON_JSON_FIELD_NUMBER: _ClassVar[int]
    left_run_id: str
    right_run_id: str
    summary: str
    stage_comparisons: _containers.RepeatedCompositeFieldContainer[StageComparison]
    artifact_changes: _containers.RepeatedCompositeFieldContainer[ArtifactChange]
    completeness_notes: _containers.RepeatedCompositeFieldContainer[CompletenessNote]
    evidence_links: _containers.RepeatedCompositeFieldContainer[EvidenceLink]
    provenance_comparison_json: str
    def __init__(self, left_run_id: _Optional[str] = ..., right_run_id: _Optional[str] = ..., summary: _Optional[str] = ..., stage_comparisons: _Optional[_Iterable[_Union[StageComparison, _Mapping]]] = ..., artifact_changes: _Optional[_Iterable[_Union[ArtifactChange, _Mapping]]] = ..., completeness_notes: _Optional[_Iterable[_Union[CompletenessNote, _Mapping]]] = ..., evidence_links: _Optional[_Iterable[_Union[EvidenceLink, _Mapping]]] = ..., provenance_comparison_json: _Optional[str] = ...) -> None: ...

class MultiRunMetricRow(_message.Message):
    __slots__ = ("metric_key", "stage_name", "values", "best_run_id")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    BEST_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    metric_key: str
    stage_name: str
    values: _containers.ScalarMap[str, float]
    best_run_id: str
    def __init__(self, metric_key: _Optional[str] = ..., stage_name: _Optional[str] = ..., values: _Optional[_Mapping[str, float]] = ..., best_run_id: _Optional[str] = ...) -> None: ...

class MultiRunComparison(_message.Message):
    __slots__ = ("run_ids", "run_names", "metric_table", "artifact_kind_counts_json", "completeness_notes", "evidence_links", "summary")
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    RUN_NAMES_FIELD_NUMBER: _ClassVar[int]
    METRIC_TABLE_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_KIND_COUNTS_JSON_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_NOTES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_LINKS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    run_names: _containers.RepeatedScalarFieldContainer[str]
    metric_table: _containers.RepeatedCompositeFieldContainer[MultiRunMetricRow]
    artifact_kind_counts_json: str
    completeness_notes: _containers.RepeatedCompositeFieldContainer[CompletenessNote]
    evidence_links: _containers.RepeatedCompositeFieldContainer[EvidenceLink]
    summary: str
    def __init__(self, run_ids: _Optional[_Iterable[str]] = ..., run_names: _Optional[_Iterable[str]] = ..., metric_table: _Optional[_Iterable[_Union[MultiRunMetricRow, _Mapping]]] = ..., artifact_kind_counts_json: _Optional[str] = ..., completeness_notes: _Optional[_Iterable[_Union[CompletenessNote, _Mapping]]] = ..., evidence_links: _Optional[_Iterable[_Union[EvidenceLink, _Mapping]]] = ..., summary: _Optional[str] = ...) -> None: ...

class DiagnosticsIssue(_message.Message):
    __slots__ = ("severity", "code", "summary", "details_json", "subject_ref", "evidence_links")
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    DETAILS_JSON_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_REF_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_LINKS_FIELD_NUMBER: _ClassVar[int]
    severity: str
    code: str
    summary: str
    details_json: str
    subject_ref: str
    evidence_links: _containers.RepeatedCompositeFieldContainer[EvidenceLink]
    def __init__(self, severity: _Optional[str] = ..., code: _Optional[str] = ..., summary: _Optional[str] = ..., details_json: _Optional[str] = ..., subject_ref: _Optional[str] = ..., evidence_links: _Optional[_Iterable[_Union[EvidenceLink, _Mapping]]] = ...) -> None: ...

class DiagnosticsResult(_message.Message):
    __slots__ = ("run_id", "issues", "completeness_notes", "evidence_links")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_NOTES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_LINKS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    issues: _containers.RepeatedCompositeFieldContainer[DiagnosticsIssue]
    completeness_notes: _containers.RepeatedCompositeFieldContainer[CompletenessNote]
    evidence_links: _containers.RepeatedCompositeFieldContainer[EvidenceLink]
    def __init__(self, run_id: _Optional[str] = ..., issues: _Optional[_Iterable[_Union[DiagnosticsIssue, _Mapping]]] = ..., completeness_notes: _Optional[_Iterable[_Union[CompletenessNote, _Mapping]]] = ..., evidence_links: _Optional[_Iterable[_Union[EvidenceLink, _Mapping]]] = ...) -> None: ...

class LineageTraversal(_message.Message):
    __slots__ = ("root_ref", "edges", "visited_refs", "completeness_notes", "evidence_links")
    ROOT_REF_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    VISITED_REFS_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_NOTES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_LINKS_FIELD_NUMBER: _ClassVar[int]
    root_ref: str
    edges: _containers.RepeatedCompositeFieldContainer[Relation]
    visited_refs: _containers.RepeatedScalarFieldContainer[str]
    completeness_notes: _containers.RepeatedCompositeFieldContainer[CompletenessNote]
    evidence_links: _containers.RepeatedCompositeFieldContainer[EvidenceLink]
    def __init__(self, root_ref: _Optional[str] = ..., edges: _Optional[_Iterable[_Union[Relation, _Mapping]]] = ..., visited_refs: _Optional[_Iterable[str]] = ..., completeness_notes: _Optional[_Iterable[_Union[CompletenessNote, _Mapping]]] = ..., evidence_links: _Optional[_Iterable[_Union[EvidenceLink, _Mapping]]] = ...) -> None: ...

class ArtifactOrigin(_message.Message):
    __slots__ = ("artifact", "run", "stage", "deployments", "relations")
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    RELATIONS_FIELD_NUMBER: _ClassVar[int]
    artifact: _observed_pb2.Artifact
    run: _observed_pb2.Run
    stage: _observed_pb2.Stage
    deployments: _containers.RepeatedCompositeFieldContainer[_observed_pb2.Deployment]
    relations: _containers.RepeatedCompositeFieldContainer[Relation]
    def __init__(self, artifact: _Optional[_Union[_observed_pb2.Artifact, _Mapping]] = ..., run: _Optional[_Union[_observed_pb2.Run, _Mapping]] = ..., stage: _Optional[_Union[_observed_pb2.Stage, _Mapping]] = ..., deployments: _Optional[_Iterable[_Union[_observed_pb2.Deployment, _Mapping]]] = ..., relations: _Optional[_Iterable[_Union[Relation, _Mapping]]] = ...) -> None: ...

class TrendPoint(_message.Message):
    __slots__ = ("run_id", "run_name", "value", "captured_at", "stage_name")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    run_name: str
    value: float
    captured_at: str
    stage_name: str
    def __init__(self, run_id: _Optional[str] = ..., run_name: _Optional[str] = ..., value: _Optional[float] = ..., captured_at: _Optional[str] = ..., stage_name: _Optional[str] = ...) -> None: ...

class Trend(_message.Message):
    __slots__ = ("subject", "project_name", "points")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    subject: str
    project_name: str
    points: _containers.RepeatedCompositeFieldContainer[TrendPoint]
    def __init__(self, subject: _Optional[str] = ..., project_name: _Optional[str] = ..., points: _Optional[_Iterable[_Union[TrendPoint, _Mapping]]] = ...) -> None: ...

class MetricAggregate(_message.Message):
    __slots__ = ("count", "mean", "std", "min", "p25", "p50", "p75", "p90", "p95", "p99", "max")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    P25_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P75_FIELD_NUMBER: _ClassVar[int]
    P90_FIELD_NUMBER: _ClassVar[int]
    P95_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    count: int
    mean: float
    std: float
    min: float
    p25: float
    p50: float
    p75: float
    p90: float
    p95: float
    p99: float
    max: float
    def __init__(self, count: _Optional[int] = ..., mean: _Optional[float] = ..., std: _Optional[float] = ..., min: _Optional[float] = ..., p25: _Optional[float] = ..., p50: _Optional[float] = ..., p75: _Optional[float] = ..., p90: _Optional[float] = ..., p95: _Optional[float] = ..., p99: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class Anomaly(_message.Message):
    __slots__ = ("run_id", "metric_key", "stage_name", "value", "baseline_mean", "baseline_std", "score", "is_anomaly", "baseline_count")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_MEAN_FIELD_NUMBER: _ClassVar[int]
    BASELINE_STD_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    IS_ANOMALY_FIELD_NUMBER: _ClassVar[int]
    BASELINE_COUNT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    metric_key: str
    stage_name: str
    value: float
    baseline_mean: float
    baseline_std: float
    score: float
    is_anomaly: bool
    baseline_count: int
    def __init__(self, run_id: _Optional[str] = ..., metric_key: _Optional[str] = ..., stage_name: _Optional[str] = ..., value: _Optional[float] = ..., baseline_mean: _Optional[float] = ..., baseline_std: _Optional[float] = ..., score: _Optional[float] = ..., is_anomaly: bool = ..., baseline_count: _Optional[int] = ...) -> None: ...

class AlertRule(_message.Message):
    __slots__ = ("metric_key", "operator", "threshold", "stage_name", "severity", "name")
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    metric_key: str
    operator: str
    threshold: float
    stage_name: str
    severity: str
    name: str
    def __init__(self, metric_key: _Optional[str] = ..., operator: _Optional[str] = ..., threshold: _Optional[float] = ..., stage_name: _Optional[str] = ..., severity: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class AlertResult(_message.Message):
    __slots__ = ("rule", "run_id", "value", "triggered", "message")
    RULE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TRIGGERED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    run_id: str
    value: float
    triggered: bool
    message: str
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ..., run_id: _Optional[str] = ..., value: _Optional[float] = ..., triggered: bool = ..., message: _Optional[str] = ...) -> None: ...

class AlertReport(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[AlertResult]
    def __init__(self, results: _Optional[_Iterable[_Union[AlertResult, _Mapping]]] = ...) -> None: ...

class Straggler(_message.Message):
    __slots__ = ("run_id", "rank", "stage_id", "stage_name", "host", "since_step", "since_at", "late_s", "step_s", "peer_step_s", "metric_key")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    SINCE_STEP_FIELD_NUMBER: _ClassVar[int]
    SINCE_AT_FIELD_NUMBER: _ClassVar[int]
    LATE_S_FIELD_NUMBER: _ClassVar[int]
    STEP_S_FIELD_NUMBER: _ClassVar[int]
    PEER_STEP_S_FIELD_NUMBER: _ClassVar[int]
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    rank: int
    stage_id: str
    stage_name: str
    host: str
    since_step: int
    since_at: str
    late_s: float
    step_s: float
    peer_step_s: float
    metric_key: str
    def __init__(self, run_id: _Optional[str] = ..., rank: _Optional[int] = ..., stage_id: _Optional[str] = ..., stage_name: _Optional[str] = ..., host: _Optional[str] = ..., since_step: _Optional[int] = ..., since_at: _Optional[str] = ..., late_s: _Optional[float] = ..., step_s: _Optional[float] = ..., peer_step_s: _Optional[float] = ..., metric_key: _Optional[str] = ...) -> None: ...

class StragglerReport(_message.Message):
    __slots__ = ("run_id", "stragglers", "completeness_notes")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STRAGGLERS_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_NOTES_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    stragglers: _containers.RepeatedCompositeFieldContainer[Straggler]
    completeness_notes: _containers.RepeatedCompositeFieldContainer[CompletenessNote]
    def __init__(self, run_id: _Optional[str] = ..., stragglers: _Optional[_Iterable[_Union[Straggler, _Mapping]]] = ..., completeness_notes: _Optional[_Iterable[_Union[CompletenessNote, _Mapping]]] = ...) -> None: ...

class ReproducibilityAudit(_message.Message):
    __slots__ = ("run_id", "environment_ref", "python_version", "platform", "package_count", "reproducibility_status", "completeness_notes", "evidence_links")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_REF_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPRODUCIBILITY_STATUS_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_NOTES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_LINKS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    environment_ref: str
    python_version: str
    platform: str
    package_count: int
    reproducibility_status: str
    completeness_notes: _containers.RepeatedCompositeFieldContainer[CompletenessNote]
    evidence_links: _containers.RepeatedCompositeFieldContainer[EvidenceLink]
    def __init__(self, run_id: _Optional[str] = ..., environment_ref: _Optional[str] = ..., python_version: _Optional[str] = ..., platform: _Optional[str] = ..., package_count: _Optional[int] = ..., reproducibility_status: _Optional[str] = ..., completeness_notes: _Optional[_Iterable[_Union[CompletenessNote, _Mapping]]] = ..., evidence_links: _Optional[_Iterable[_Union[EvidenceLink, _Mapping]]] = ...) -> None: ...

class EnvironmentDiff(_message.Message):
    __slots__ = ("python_version_changed", "platform_changed", "added_packages_json", "removed_packages_json", "changed_packages_json", "added_variables_json", "removed_variables_json", "changed_variables_json")
    PYTHON_VERSION_CHANGED_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_CHANGED_FIELD_NUMBER: _ClassVar[int]
    ADDED_PACKAGES_JSON_FIELD_NUMBER: _ClassVar[int]
    REMOVED_PACKAGES_JSON_FIELD_NUMBER: _ClassVar[int]
    CHANGED_PACKAGES_JSON_FIELD_NUMBER: _ClassVar[int]
    ADDED_VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    REMOVED_VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    CHANGED_VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    python_version_changed: bool
    platform_changed: bool
    added_packages_json: str
    removed_packages_json: str
    changed_packages_json: str
    added_variables_json: str
    removed_variables_json: str
    changed_variables_json: str
    def __init__(self, python_version_changed: bool = ..., platform_changed: bool = ..., added_packages_json: _Optional[str] = ..., removed_packages_json: _Optional[str] = ..., changed_packages_json: _Optional[str] = ..., added_variables_json: _Optional[str] = ..., removed_variables_json: _Optional[str] = ..., changed_variables_json: _Optional[str] = ...) -> None: ...

class Table(_message.Message):
    __slots__ = ("columns", "rows_json", "title")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ROWS_JSON_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    rows_json: str
    title: str
    def __init__(self, columns: _Optional[_Iterable[str]] = ..., rows_json: _Optional[str] = ..., title: _Optional[str] = ...) -> None: ...

class ChartLine(_message.Message):
    __slots__ = ("name", "x", "y_json")
    NAME_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_JSON_FIELD_NUMBER: _ClassVar[int]
    name: str
    x: _containers.RepeatedScalarFieldContainer[float]
    y_json: str
    def __init__(self, name: _Optional[str] = ..., x: _Optional[_Iterable[float]] = ..., y_json: _Optional[str] = ...) -> None: ...

class Chart(_message.Message):
    __slots__ = ("title", "kind", "lines", "x_title", "y_title", "x_labels")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    X_TITLE_FIELD_NUMBER: _ClassVar[int]
    Y_TITLE_FIELD_NUMBER: _ClassVar[int]
    X_LABELS_FIELD_NUMBER: _ClassVar[int]
    title: str
    kind: str
    lines: _containers.RepeatedCompositeFieldContainer[ChartLine]
    x_title: str
    y_title: str
    x_labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, title: _Optional[str] = ..., kind: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[ChartLine, _Mapping]]] = ..., x_title: _Optional[str] = ..., y_title: _Optional[str] = ..., x_labels: _Optional[_Iterable[str]] = ...) -> None: ...

class ReportSection(_message.Message):
    __slots__ = ("title", "body", "evidence_links", "tables", "charts")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_LINKS_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    CHARTS_FIELD_NUMBER: _ClassVar[int]
    title: str
    body: str
    evidence_links: _containers.RepeatedCompositeFieldContainer[EvidenceLink]
    tables: _containers.RepeatedCompositeFieldContainer[Table]
    charts: _containers.RepeatedCompositeFieldContainer[Chart]
    def __init__(self, title: _Optional[str] = ..., body: _Optional[str] = ..., evidence_links: _Optional[_Iterable[_Union[EvidenceLink, _Mapping]]] = ..., tables: _Optional[_Iterable[_Union[Table, _Mapping]]] = ..., charts: _Optional[_Iterable[_Union[Chart, _Mapping]]] = ...) -> None: ...

class ReportDocument(_message.Message):
    __slots__ = ("title", "sections")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SECTIONS_FIELD_NUMBER: _ClassVar[int]
    title: str
    sections: _containers.RepeatedCompositeFieldContainer[ReportSection]
    def __init__(self, title: _Optional[str] = ..., sections: _Optional[_Iterable[_Union[ReportSection, _Mapping]]] = ...) -> None: ...
