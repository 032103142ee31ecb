from contexta.v1 import answers_pb2 as _answers_pb2
from contexta.v1 import observed_pb2 as _observed_pb2
from contexta.v1 import observed_pb2 as _observed_pb2_1
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union
from contexta.v1.answers_pb2 import EvidenceLink as EvidenceLink
from contexta.v1.answers_pb2 import CompletenessNote as CompletenessNote
from contexta.v1.answers_pb2 import Relation as Relation
from contexta.v1.answers_pb2 import Provenance as Provenance
from contexta.v1.answers_pb2 import SeriesSummary as SeriesSummary
from contexta.v1.answers_pb2 import RunSnapshot as RunSnapshot
from contexta.v1.answers_pb2 import MetricDelta as MetricDelta
from contexta.v1.answers_pb2 import StageComparison as StageComparison
from contexta.v1.answers_pb2 import ArtifactChange as ArtifactChange
from contexta.v1.answers_pb2 import RunComparison as RunComparison
from contexta.v1.answers_pb2 import MultiRunMetricRow as MultiRunMetricRow
from contexta.v1.answers_pb2 import MultiRunComparison as MultiRunComparison
from contexta.v1.answers_pb2 import DiagnosticsIssue as DiagnosticsIssue
from contexta.v1.answers_pb2 import DiagnosticsResult as DiagnosticsResult
from contexta.v1.answers_pb2 import LineageTraversal as LineageTraversal
from contexta.v1.answers_pb2 import ArtifactOrigin as ArtifactOrigin
from contexta.v1.answers_pb2 import TrendPoint as TrendPoint
from contexta.v1.answers_pb2 import Trend as Trend
from contexta.v1.answers_pb2 import MetricAggregate as MetricAggregate
from contexta.v1.answers_pb2 import Anomaly as Anomaly
from contexta.v1.answers_pb2 import AlertRule as AlertRule
from contexta.v1.answers_pb2 import AlertResult as AlertResult
from contexta.v1.answers_pb2 import AlertReport as AlertReport
from contexta.v1.answers_pb2 import Straggler as Straggler
from contexta.v1.answers_pb2 import StragglerReport as StragglerReport
from contexta.v1.answers_pb2 import ReproducibilityAudit as ReproducibilityAudit
from contexta.v1.answers_pb2 import EnvironmentDiff as EnvironmentDiff
from contexta.v1.answers_pb2 import Table as Table
from contexta.v1.answers_pb2 import ChartLine as ChartLine
from contexta.v1.answers_pb2 import Chart as Chart
from contexta.v1.answers_pb2 import ReportSection as ReportSection
from contexta.v1.answers_pb2 import ReportDocument as ReportDocument
from contexta.v1.observed_pb2 import Project as Project
from contexta.v1.observed_pb2 import Run as Run
from contexta.v1.observed_pb2 import Stage as Stage
from contexta.v1.observed_pb2 import BatchScope as BatchScope
from contexta.v1.observed_pb2 import Sample as Sample
from contexta.v1.observed_pb2 import Deployment as Deployment
from contexta.v1.observed_pb2 import Artifact as Artifact
from contexta.v1.observed_pb2 import Worker as Worker

DESCRIPTOR: _descriptor.FileDescriptor

class ListProjectsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProjectsResponse(_message.Message):
    __slots__ = ("projects",)
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedCompositeFieldContainer[_observed_pb2_1.Project]
    def __init__(self, projects: _Optional[_Iterable[_Union[_observed_pb2_1.Project, _Mapping]]] = ...) -> None: ...

class MetricCondition(_message.Message):
    __slots__ = ("metric_key", "operator", "threshold", "stage_name")
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    metric_key: str
    operator: str
    threshold: float
    stage_name: str
    def __init__(self, metric_key: _Optional[str] = ..., operator: _Optional[str] = ..., threshold: _Optional[float] = ..., stage_name: _Optional[str] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("project_name", "status", "tags_json", "metric_conditions", "started_after", "started_before", "limit", "offset", "sort_by", "sort_desc", "all_attempts", "name_contains", "run_id", "attempt")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TAGS_JSON_FIELD_NUMBER: _ClassVar[int]
    METRIC_CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AFTER_FIELD_NUMBER: _ClassVar[int]
    STARTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SORT_BY_FIELD_NUMBER: _ClassVar[int]
    SORT_DESC_FIELD_NUMBER: _ClassVar[int]
    ALL_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NAME_CONTAINS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    status: str
    tags_json: str
    metric_conditions: _containers.RepeatedCompositeFieldContainer[MetricCondition]
    started_after: str
    started_before: str
    limit: int
    offset: int
    sort_by: str
    sort_desc: bool
    all_attempts: bool
    name_contains: str
    run_id: str
    attempt: int
    def __init__(self, project_name: _Optional[str] = ..., status: _Optional[str] = ..., tags_json: _Optional[str] = ..., metric_conditions: _Optional[_Iterable[_Union[MetricCondition, _Mapping]]] = ..., started_after: _Optional[str] = ..., started_before: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., sort_by: _Optional[str] = ..., sort_desc: bool = ..., all_attempts: bool = ..., name_contains: _Optional[str] = ..., run_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "total")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[_observed_pb2_1.Run]
    total: int
    def __init__(self, runs: _Optional[_Iterable[_Union[_observed_pb2_1.Run, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class ListStagesRequest(_message.Message):
    __slots__ = ("run_id", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class ListStagesResponse(_message.Message):
    __slots__ = ("stages",)
    STAGES_FIELD_NUMBER: _ClassVar[int]
    stages: _containers.RepeatedCompositeFieldContainer[_observed_pb2_1.Stage]
    def __init__(self, stages: _Optional[_Iterable[_Union[_observed_pb2_1.Stage, _Mapping]]] = ...) -> None: ...

class ListBatchesRequest(_message.Message):
    __slots__ = ("run_id", "stage_id", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    stage_id: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class ListBatchesResponse(_message.Message):
    __slots__ = ("batches",)
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    batches: _containers.RepeatedCompositeFieldContainer[_observed_pb2_1.BatchScope]
    def __init__(self, batches: _Optional[_Iterable[_Union[_observed_pb2_1.BatchScope, _Mapping]]] = ...) -> None: ...

class ListSamplesRequest(_message.Message):
    __slots__ = ("run_id", "stage_id", "batch_id", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    stage_id: str
    batch_id: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., batch_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class ListSamplesResponse(_message.Message):
    __slots__ = ("samples",)
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples: _containers.RepeatedCompositeFieldContainer[_observed_pb2_1.Sample]
    def __init__(self, samples: _Optional[_Iterable[_Union[_observed_pb2_1.Sample, _Mapping]]] = ...) -> None: ...

class ListDeploymentsRequest(_message.Message):
    __slots__ = ("project_name", "run_id")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    run_id: str
    def __init__(self, project_name: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class ListDeploymentsResponse(_message.Message):
    __slots__ = ("deployments",)
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    deployments: _containers.RepeatedCompositeFieldContainer[_observed_pb2_1.Deployment]
    def __init__(self, deployments: _Optional[_Iterable[_Union[_observed_pb2_1.Deployment, _Mapping]]] = ...) -> None: ...

class ListArtifactsRequest(_message.Message):
    __slots__ = ("run_id", "attempt", "artifact_ref")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_REF_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    artifact_ref: str
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., artifact_ref: _Optional[str] = ...) -> None: ...

class ListArtifactsResponse(_message.Message):
    __slots__ = ("artifacts",)
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    artifacts: _containers.RepeatedCompositeFieldContainer[_observed_pb2_1.Artifact]
    def __init__(self, artifacts: _Optional[_Iterable[_Union[_observed_pb2_1.Artifact, _Mapping]]] = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ("run_id", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[_observed_pb2_1.Worker]
    def __init__(self, workers: _Optional[_Iterable[_Union[_observed_pb2_1.Worker, _Mapping]]] = ...) -> None: ...

class GetEnvironmentRequest(_message.Message):
    __slots__ = ("run_id", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class GetEnvironmentResponse(_message.Message):
    __slots__ = ("found", "environment_ref", "captured_at", "python_version", "platform", "packages_json", "environment_variables_json", "command_json", "host", "git_json", "details_json")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_REF_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_JSON_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    COMMAND_JSON_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    GIT_JSON_FIELD_NUMBER: _ClassVar[int]
    DETAILS_JSON_FIELD_NUMBER: _ClassVar[int]
    found: bool
    environment_ref: str
    captured_at: str
    python_version: str
    platform: str
    packages_json: str
    environment_variables_json: str
    command_json: str
    host: str
    git_json: str
    details_json: str
    def __init__(self, found: bool = ..., environment_ref: _Optional[str] = ..., captured_at: _Optional[str] = ..., python_version: _Optional[str] = ..., platform: _Optional[str] = ..., packages_json: _Optional[str] = ..., environment_variables_json: _Optional[str] = ..., command_json: _Optional[str] = ..., host: _Optional[str] = ..., git_json: _Optional[str] = ..., details_json: _Optional[str] = ...) -> None: ...

class GetStepSeriesRequest(_message.Message):
    __slots__ = ("run_id", "metric_key", "stage_id", "stage_name", "max_points", "attempt", "rank")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    metric_key: str
    stage_id: str
    stage_name: str
    max_points: int
    attempt: int
    rank: int
    def __init__(self, run_id: _Optional[str] = ..., metric_key: _Optional[str] = ..., stage_id: _Optional[str] = ..., stage_name: _Optional[str] = ..., max_points: _Optional[int] = ..., attempt: _Optional[int] = ..., rank: _Optional[int] = ...) -> None: ...

class GetStepSeriesResponse(_message.Message):
    __slots__ = ("run_id", "stage_id", "step", "has_step", "value", "time_ns", "rank", "unit", "total_points", "wide", "step_start", "step_stride", "rank_of_all")
    class WideEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: str
        def __init__(self, key: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    HAS_STEP_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_POINTS_FIELD_NUMBER: _ClassVar[int]
    WIDE_FIELD_NUMBER: _ClassVar[int]
    STEP_START_FIELD_NUMBER: _ClassVar[int]
    STEP_STRIDE_FIELD_NUMBER: _ClassVar[int]
    RANK_OF_ALL_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    stage_id: str
    step: bytes
    has_step: bytes
    value: bytes
    time_ns: bytes
    rank: bytes
    unit: str
    total_points: int
    wide: _containers.ScalarMap[int, str]
    step_start: int
    step_stride: int
    rank_of_all: int
    def __init__(self, run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., step: _Optional[bytes] = ..., has_step: _Optional[bytes] = ..., value: _Optional[bytes] = ..., time_ns: _Optional[bytes] = ..., rank: _Optional[bytes] = ..., unit: _Optional[str] = ..., total_points: _Optional[int] = ..., wide: _Optional[_Mapping[int, str]] = ..., step_start: _Optional[int] = ..., step_stride: _Optional[int] = ..., rank_of_all: _Optional[int] = ...) -> None: ...

class RecordFilter(_message.Message):
    __slots__ = ("run_id", "stage_id", "batch_id", "sample_id", "record_type", "key", "project_name", "started_at", "ended_at", "attempt", "all_attempts")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_TYPE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ALL_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    stage_id: str
    batch_id: str
    sample_id: str
    record_type: str
    key: str
    project_name: str
    started_at: str
    ended_at: str
    attempt: int
    all_attempts: bool
    def __init__(self, run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., batch_id: _Optional[str] = ..., sample_id: _Optional[str] = ..., record_type: _Optional[str] = ..., key: _Optional[str] = ..., project_name: _Optional[str] = ..., started_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., attempt: _Optional[int] = ..., all_attempts: bool = ...) -> None: ...

class ScanRecordsRequest(_message.Message):
    __slots__ = ("filter", "limit", "cursor")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    filter: RecordFilter
    limit: int
    cursor: bytes
    def __init__(self, filter: _Optional[_Union[RecordFilter, _Mapping]] = ..., limit: _Optional[int] = ..., cursor: _Optional[bytes] = ...) -> None: ...

class CountRecordsRequest(_message.Message):
    __slots__ = ("filter",)
    FILTER_FIELD_NUMBER: _ClassVar[int]
    filter: RecordFilter
    def __init__(self, filter: _Optional[_Union[RecordFilter, _Mapping]] = ...) -> None: ...

class CountRecordsResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class TailRequest(_message.Message):
    __slots__ = ("filter", "from_start")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FROM_START_FIELD_NUMBER: _ClassVar[int]
    filter: RecordFilter
    from_start: bool
    def __init__(self, filter: _Optional[_Union[RecordFilter, _Mapping]] = ..., from_start: bool = ...) -> None: ...

class RecordPage(_message.Message):
    __slots__ = ("records", "cursor")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[Record]
    cursor: bytes
    def __init__(self, records: _Optional[_Iterable[_Union[Record, _Mapping]]] = ..., cursor: _Optional[bytes] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("record_ref", "record_type", "run_id", "stage_id", "batch_id", "sample_id", "operation_id", "deployment_id", "key", "observed_at", "time_ns", "number", "integer", "unit", "step", "rank", "message", "completeness_marker", "degradation_marker", "payload_json", "tags_json", "producer_ref", "attempt", "recorded_at", "trace_id", "schema_version")
    RECORD_REF_FIELD_NUMBER: _ClassVar[int]
    RECORD_TYPE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_MARKER_FIELD_NUMBER: _ClassVar[int]
    DEGRADATION_MARKER_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_JSON_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_REF_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    record_ref: str
    record_type: str
    run_id: str
    stage_id: str
    batch_id: str
    sample_id: str
    operation_id: str
    deployment_id: str
    key: str
    observed_at: str
    time_ns: int
    number: float
    integer: str
    unit: str
    step: int
    rank: int
    message: str
    completeness_marker: str
    degradation_marker: str
    payload_json: str
    tags_json: str
    producer_ref: str
    attempt: int
    recorded_at: str
    trace_id: str
    schema_version: str
    def __init__(self, record_ref: _Optional[str] = ..., record_type: _Optional[str] = ..., run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., batch_id: _Optional[str] = ..., sample_id: _Optional[str] = ..., operation_id: _Optional[str] = ..., deployment_id: _Optional[str] = ..., key: _Optional[str] = ..., observed_at: _Optional[str] = ..., time_ns: _Optional[int] = ..., number: _Optional[float] = ..., integer: _Optional[str] = ..., unit: _Optional[str] = ..., step: _Optional[int] = ..., rank: _Optional[int] = ..., message: _Optional[str] = ..., completeness_marker: _Optional[str] = ..., degradation_marker: _Optional[str] = ..., payload_json: _Optional[str] = ..., tags_json: _Optional[str] = ..., producer_ref: _Optional[str] = ..., attempt: _Optional[int] = ..., recorded_at: _Optional[str] = ..., trace_id: _Optional[str] = ..., schema_version: _Optional[str] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("run_id", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class RunsRequest(_message.Message):
    __slots__ = ("project_name", "run_ids", "filter")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    filter: ListRunsRequest
    def __init__(self, project_name: _Optional[str] = ..., run_ids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[ListRunsRequest, _Mapping]] = ...) -> None: ...

class ListSeriesRequest(_message.Message):
    __slots__ = ("run_id", "attempt", "metric_key", "stage_name")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    metric_key: str
    stage_name: str
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., metric_key: _Optional[str] = ..., stage_name: _Optional[str] = ...) -> None: ...

class ListSeriesResponse(_message.Message):
    __slots__ = ("series",)
    SERIES_FIELD_NUMBER: _ClassVar[int]
    series: _containers.RepeatedCompositeFieldContainer[_answers_pb2.SeriesSummary]
    def __init__(self, series: _Optional[_Iterable[_Union[_answers_pb2.SeriesSummary, _Mapping]]] = ...) -> None: ...

class ProvenanceResponse(_message.Message):
    __slots__ = ("provenance",)
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    provenance: _containers.RepeatedCompositeFieldContainer[_answers_pb2.Provenance]
    def __init__(self, provenance: _Optional[_Iterable[_Union[_answers_pb2.Provenance, _Mapping]]] = ...) -> None: ...

class ArtifactOriginRequest(_message.Message):
    __slots__ = ("artifact_ref",)
    ARTIFACT_REF_FIELD_NUMBER: _ClassVar[int]
    artifact_ref: str
    def __init__(self, artifact_ref: _Optional[str] = ...) -> None: ...

class CompareRunsRequest(_message.Message):
    __slots__ = ("left_run_id", "right_run_id", "policy", "left_attempt", "right_attempt")
    LEFT_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RIGHT_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    LEFT_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    left_run_id: str
    right_run_id: str
    policy: str
    left_attempt: int
    right_attempt: int
    def __init__(self, left_run_id: _Optional[str] = ..., right_run_id: _Optional[str] = ..., policy: _Optional[str] = ..., left_attempt: _Optional[int] = ..., right_attempt: _Optional[int] = ...) -> None: ...

class CompareMultipleRunsRequest(_message.Message):
    __slots__ = ("run_ids", "policy", "lower_is_better")
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    LOWER_IS_BETTER_FIELD_NUMBER: _ClassVar[int]
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    policy: str
    lower_is_better: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_ids: _Optional[_Iterable[str]] = ..., policy: _Optional[str] = ..., lower_is_better: _Optional[_Iterable[str]] = ...) -> None: ...

class SelectBestRunRequest(_message.Message):
    __slots__ = ("run_ids", "metric_key", "stage_name", "lower_is_better", "policy")
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    LOWER_IS_BETTER_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    metric_key: str
    stage_name: str
    lower_is_better: bool
    policy: str
    def __init__(self, run_ids: _Optional[_Iterable[str]] = ..., metric_key: _Optional[str] = ..., stage_name: _Optional[str] = ..., lower_is_better: bool = ..., policy: _Optional[str] = ...) -> None: ...

class SelectBestRunResponse(_message.Message):
    __slots__ = ("run_id", "value", "stage_name")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    value: float
    stage_name: str
    def __init__(self, run_id: _Optional[str] = ..., value: _Optional[float] = ..., stage_name: _Optional[str] = ...) -> None: ...

class FindStragglersRequest(_message.Message):
    __slots__ = ("run_id", "attempt", "metric_key", "threshold")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    metric_key: str
    threshold: float
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., metric_key: _Optional[str] = ..., threshold: _Optional[float] = ...) -> None: ...

class TraverseLineageRequest(_message.Message):
    __slots__ = ("subject_ref", "direction", "max_depth")
    SUBJECT_REF_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    MAX_DEPTH_FIELD_NUMBER: _ClassVar[int]
    subject_ref: str
    direction: str
    max_depth: int
    def __init__(self, subject_ref: _Optional[str] = ..., direction: _Optional[str] = ..., max_depth: _Optional[int] = ...) -> None: ...

class GetTrendRequest(_message.Message):
    __slots__ = ("kind", "subject", "runs", "stage_name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    kind: str
    subject: str
    runs: RunsRequest
    stage_name: str
    def __init__(self, kind: _Optional[str] = ..., subject: _Optional[str] = ..., runs: _Optional[_Union[RunsRequest, _Mapping]] = ..., stage_name: _Optional[str] = ...) -> None: ...

class AggregateRequest(_message.Message):
    __slots__ = ("metric_key", "runs", "stage_name", "by", "policy")
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    metric_key: str
    runs: RunsRequest
    stage_name: str
    by: str
    policy: str
    def __init__(self, metric_key: _Optional[str] = ..., runs: _Optional[_Union[RunsRequest, _Mapping]] = ..., stage_name: _Optional[str] = ..., by: _Optional[str] = ..., policy: _Optional[str] = ...) -> None: ...

class AggregateResponse(_message.Message):
    __slots__ = ("groups",)
    class Group(_message.Message):
        __slots__ = ("name", "aggregate")
        NAME_FIELD_NUMBER: _ClassVar[int]
        AGGREGATE_FIELD_NUMBER: _ClassVar[int]
        name: str
        aggregate: _answers_pb2.MetricAggregate
        def __init__(self, name: _Optional[str] = ..., aggregate: _Optional[_Union[_answers_pb2.MetricAggregate, _Mapping]] = ...) -> None: ...
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[AggregateResponse.Group]
    def __init__(self, groups: _Optional[_Iterable[_Union[AggregateResponse.Group, _Mapping]]] = ...) -> None: ...

class StatusDistribution(_message.Message):
    __slots__ = ("counts",)
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.ScalarMap[str, int]
    def __init__(self, counts: _Optional[_Mapping[str, int]] = ...) -> None: ...

class DetectAnomaliesRequest(_message.Message):
    __slots__ = ("run_id", "metric_key", "stage_name", "baseline", "threshold")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    METRIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    metric_key: str
    stage_name: str
    baseline: RunsRequest
    threshold: float
    def __init__(self, run_id: _Optional[str] = ..., metric_key: _Optional[str] = ..., stage_name: _Optional[str] = ..., baseline: _Optional[_Union[RunsRequest, _Mapping]] = ..., threshold: _Optional[float] = ...) -> None: ...

class DetectAnomaliesResponse(_message.Message):
    __slots__ = ("results", "completeness_notes")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_NOTES_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_answers_pb2.Anomaly]
    completeness_notes: _containers.RepeatedCompositeFieldContainer[_answers_pb2.CompletenessNote]
    def __init__(self, results: _Optional[_Iterable[_Union[_answers_pb2.Anomaly, _Mapping]]] = ..., completeness_notes: _Optional[_Iterable[_Union[_answers_pb2.CompletenessNote, _Mapping]]] = ...) -> None: ...

class EvaluateAlertsRequest(_message.Message):
    __slots__ = ("rules", "runs")
    RULES_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[_answers_pb2.AlertRule]
    runs: RunsRequest
    def __init__(self, rules: _Optional[_Iterable[_Union[_answers_pb2.AlertRule, _Mapping]]] = ..., runs: _Optional[_Union[RunsRequest, _Mapping]] = ...) -> None: ...

class CompareEnvironmentsRequest(_message.Message):
    __slots__ = ("left_run_id", "right_run_id")
    LEFT_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RIGHT_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    left_run_id: str
    right_run_id: str
    def __init__(self, left_run_id: _Optional[str] = ..., right_run_id: _Optional[str] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("text", "project_name", "limit")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    text: str
    project_name: str
    limit: int
    def __init__(self, text: _Optional[str] = ..., project_name: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class BuildReportRequest(_message.Message):
    __slots__ = ("kind", "run_ids", "project_name", "trend", "rules")
    KIND_FIELD_NUMBER: _ClassVar[int]
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    TREND_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    project_name: str
    trend: GetTrendRequest
    rules: _containers.RepeatedCompositeFieldContainer[_answers_pb2.AlertRule]
    def __init__(self, kind: _Optional[str] = ..., run_ids: _Optional[_Iterable[str]] = ..., project_name: _Optional[str] = ..., trend: _Optional[_Union[GetTrendRequest, _Mapping]] = ..., rules: _Optional[_Iterable[_Union[_answers_pb2.AlertRule, _Mapping]]] = ...) -> None: ...

class RenderReportRequest(_message.Message):
    __slots__ = ("report", "format")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    report: BuildReportRequest
    format: str
    def __init__(self, report: _Optional[_Union[BuildReportRequest, _Mapping]] = ..., format: _Optional[str] = ...) -> None: ...

class RenderedReport(_message.Message):
    __slots__ = ("title", "content", "content_type")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    title: str
    content: str
    content_type: str
    def __init__(self, title: _Optional[str] = ..., content: _Optional[str] = ..., content_type: _Optional[str] = ...) -> None: ...

class SqlRequest(_message.Message):
    __slots__ = ("text", "max_rows")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MAX_ROWS_FIELD_NUMBER: _ClassVar[int]
    text: str
    max_rows: int
    def __init__(self, text: _Optional[str] = ..., max_rows: _Optional[int] = ...) -> None: ...

class SqlPage(_message.Message):
    __slots__ = ("columns", "types", "rows_json")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    ROWS_JSON_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    types: _containers.RepeatedScalarFieldContainer[str]
    rows_json: str
    def __init__(self, columns: _Optional[_Iterable[str]] = ..., types: _Optional[_Iterable[str]] = ..., rows_json: _Optional[str] = ...) -> None: ...
