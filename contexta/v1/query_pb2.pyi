from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Project(_message.Message):
    __slots__ = ("project_ref", "name", "created_at", "description", "tags_json", "run_count")
    PROJECT_REF_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_JSON_FIELD_NUMBER: _ClassVar[int]
    RUN_COUNT_FIELD_NUMBER: _ClassVar[int]
    project_ref: str
    name: str
    created_at: str
    description: str
    tags_json: str
    run_count: int
    def __init__(self, project_ref: _Optional[str] = ..., name: _Optional[str] = ..., created_at: _Optional[str] = ..., description: _Optional[str] = ..., tags_json: _Optional[str] = ..., run_count: _Optional[int] = ...) -> None: ...

class ListProjectsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProjectsResponse(_message.Message):
    __slots__ = ("projects",)
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedCompositeFieldContainer[Project]
    def __init__(self, projects: _Optional[_Iterable[_Union[Project, _Mapping]]] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("run_id", "project_name", "name", "status", "started_at", "ended_at", "tags_json", "metadata_json", "attempt", "worker_count", "lost_worker_count", "metric_count", "dataset_ref", "code_revision", "dropped_count", "config_snapshot_json")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    TAGS_JSON_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_COUNT_FIELD_NUMBER: _ClassVar[int]
    LOST_WORKER_COUNT_FIELD_NUMBER: _ClassVar[int]
    METRIC_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_REF_FIELD_NUMBER: _ClassVar[int]
    CODE_REVISION_FIELD_NUMBER: _ClassVar[int]
    DROPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_SNAPSHOT_JSON_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    project_name: str
    name: str
    status: str
    started_at: str
    ended_at: str
    tags_json: str
    metadata_json: str
    attempt: int
    worker_count: int
    lost_worker_count: int
    metric_count: int
    dataset_ref: str
    code_revision: str
    dropped_count: int
    config_snapshot_json: str
    def __init__(self, run_id: _Optional[str] = ..., project_name: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., started_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., tags_json: _Optional[str] = ..., metadata_json: _Optional[str] = ..., attempt: _Optional[int] = ..., worker_count: _Optional[int] = ..., lost_worker_count: _Optional[int] = ..., metric_count: _Optional[int] = ..., dataset_ref: _Optional[str] = ..., code_revision: _Optional[str] = ..., dropped_count: _Optional[int] = ..., config_snapshot_json: _Optional[str] = ...) -> None: ...

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
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    total: int
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("stage_id", "run_id", "name", "status", "order", "started_at", "ended_at", "metadata_json")
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    stage_id: str
    run_id: str
    name: str
    status: str
    order: int
    started_at: str
    ended_at: str
    metadata_json: str
    def __init__(self, stage_id: _Optional[str] = ..., run_id: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., order: _Optional[int] = ..., started_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., metadata_json: _Optional[str] = ...) -> None: ...

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
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    def __init__(self, stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ...) -> None: ...

class BatchScope(_message.Message):
    __slots__ = ("batch_id", "run_id", "stage_id", "name", "status", "order", "started_at", "ended_at", "metadata_json")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    batch_id: str
    run_id: str
    stage_id: str
    name: str
    status: str
    order: int
    started_at: str
    ended_at: str
    metadata_json: str
    def __init__(self, batch_id: _Optional[str] = ..., run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., order: _Optional[int] = ..., started_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., metadata_json: _Optional[str] = ...) -> None: ...

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
    batches: _containers.RepeatedCompositeFieldContainer[BatchScope]
    def __init__(self, batches: _Optional[_Iterable[_Union[BatchScope, _Mapping]]] = ...) -> None: ...

class Sample(_message.Message):
    __slots__ = ("sample_id", "run_id", "stage_id", "batch_id", "name", "observed_at", "retention_class", "redaction_profile", "metadata_json")
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    RETENTION_CLASS_FIELD_NUMBER: _ClassVar[int]
    REDACTION_PROFILE_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    sample_id: str
    run_id: str
    stage_id: str
    batch_id: str
    name: str
    observed_at: str
    retention_class: str
    redaction_profile: str
    metadata_json: str
    def __init__(self, sample_id: _Optional[str] = ..., run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., batch_id: _Optional[str] = ..., name: _Optional[str] = ..., observed_at: _Optional[str] = ..., retention_class: _Optional[str] = ..., redaction_profile: _Optional[str] = ..., metadata_json: _Optional[str] = ...) -> None: ...

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
    samples: _containers.RepeatedCompositeFieldContainer[Sample]
    def __init__(self, samples: _Optional[_Iterable[_Union[Sample, _Mapping]]] = ...) -> None: ...

class Deployment(_message.Message):
    __slots__ = ("deployment_id", "project_name", "name", "status", "run_id", "artifact_ref", "started_at", "ended_at", "order", "metadata_json")
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_REF_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    deployment_id: str
    project_name: str
    name: str
    status: str
    run_id: str
    artifact_ref: str
    started_at: str
    ended_at: str
    order: int
    metadata_json: str
    def __init__(self, deployment_id: _Optional[str] = ..., project_name: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., run_id: _Optional[str] = ..., artifact_ref: _Optional[str] = ..., started_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., order: _Optional[int] = ..., metadata_json: _Optional[str] = ...) -> None: ...

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
    deployments: _containers.RepeatedCompositeFieldContainer[Deployment]
    def __init__(self, deployments: _Optional[_Iterable[_Union[Deployment, _Mapping]]] = ...) -> None: ...

class Artifact(_message.Message):
    __slots__ = ("artifact_ref", "run_id", "stage_id", "batch_id", "sample_id", "operation_id", "deployment_id", "kind", "created_at", "location", "hash_value", "size_bytes", "attributes_json", "binding_status", "problem", "hash_pending")
    ARTIFACT_REF_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    HASH_VALUE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_JSON_FIELD_NUMBER: _ClassVar[int]
    BINDING_STATUS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    HASH_PENDING_FIELD_NUMBER: _ClassVar[int]
    artifact_ref: str
    run_id: str
    stage_id: str
    batch_id: str
    sample_id: str
    operation_id: str
    deployment_id: str
    kind: str
    created_at: str
    location: str
    hash_value: str
    size_bytes: int
    attributes_json: str
    binding_status: str
    problem: str
    hash_pending: bool
    def __init__(self, artifact_ref: _Optional[str] = ..., run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., batch_id: _Optional[str] = ..., sample_id: _Optional[str] = ..., operation_id: _Optional[str] = ..., deployment_id: _Optional[str] = ..., kind: _Optional[str] = ..., created_at: _Optional[str] = ..., location: _Optional[str] = ..., hash_value: _Optional[str] = ..., size_bytes: _Optional[int] = ..., attributes_json: _Optional[str] = ..., binding_status: _Optional[str] = ..., problem: _Optional[str] = ..., hash_pending: bool = ...) -> None: ...

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
    artifacts: _containers.RepeatedCompositeFieldContainer[Artifact]
    def __init__(self, artifacts: _Optional[_Iterable[_Union[Artifact, _Mapping]]] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("session_id", "host", "pid", "rank", "local_rank", "world_size", "status", "opened_at", "ended_at", "items", "dropped", "inherited")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    LOCAL_RANK_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    INHERITED_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    host: str
    pid: int
    rank: int
    local_rank: int
    world_size: int
    status: str
    opened_at: str
    ended_at: str
    items: int
    dropped: int
    inherited: bool
    def __init__(self, session_id: _Optional[str] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., rank: _Optional[int] = ..., local_rank: _Optional[int] = ..., world_size: _Optional[int] = ..., status: _Optional[str] = ..., opened_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., items: _Optional[int] = ..., dropped: _Optional[int] = ..., inherited: bool = ...) -> None: ...

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
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    def __init__(self, workers: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ...) -> None: ...

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
    __slots__ = ("run_id", "stage_id", "step", "has_step", "value", "time_ns", "rank", "unit", "total_points", "wide")
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
    def __init__(self, run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., step: _Optional[bytes] = ..., has_step: _Optional[bytes] = ..., value: _Optional[bytes] = ..., time_ns: _Optional[bytes] = ..., rank: _Optional[bytes] = ..., unit: _Optional[str] = ..., total_points: _Optional[int] = ..., wide: _Optional[_Mapping[int, str]] = ...) -> None: ...

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
