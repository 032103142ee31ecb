from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

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

class Run(_message.Message):
    __slots__ = ("run_id", "project_name", "name", "status", "started_at", "ended_at", "tags_json", "metadata_json", "attempt", "worker_count", "lost_worker_count", "metric_count", "dataset_ref", "code_revision", "dropped_count", "config_snapshot_json", "reason")
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
    REASON_FIELD_NUMBER: _ClassVar[int]
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
    reason: str
    def __init__(self, run_id: _Optional[str] = ..., project_name: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., started_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., tags_json: _Optional[str] = ..., metadata_json: _Optional[str] = ..., attempt: _Optional[int] = ..., worker_count: _Optional[int] = ..., lost_worker_count: _Optional[int] = ..., metric_count: _Optional[int] = ..., dataset_ref: _Optional[str] = ..., code_revision: _Optional[str] = ..., dropped_count: _Optional[int] = ..., config_snapshot_json: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("stage_id", "run_id", "name", "status", "order", "started_at", "ended_at", "metadata_json", "reason")
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    stage_id: str
    run_id: str
    name: str
    status: str
    order: int
    started_at: str
    ended_at: str
    metadata_json: str
    reason: str
    def __init__(self, stage_id: _Optional[str] = ..., run_id: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., order: _Optional[int] = ..., started_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., metadata_json: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class BatchScope(_message.Message):
    __slots__ = ("batch_id", "run_id", "stage_id", "name", "status", "order", "started_at", "ended_at", "metadata_json", "reason")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    batch_id: str
    run_id: str
    stage_id: str
    name: str
    status: str
    order: int
    started_at: str
    ended_at: str
    metadata_json: str
    reason: str
    def __init__(self, batch_id: _Optional[str] = ..., run_id: _Optional[str] = ..., stage_id: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., order: _Optional[int] = ..., started_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., metadata_json: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

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

class Deployment(_message.Message):
    __slots__ = ("deployment_id", "project_name", "name", "status", "run_id", "artifact_ref", "started_at", "ended_at", "order", "metadata_json", "reason")
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
    REASON_FIELD_NUMBER: _ClassVar[int]
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
    reason: str
    def __init__(self, deployment_id: _Optional[str] = ..., project_name: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., run_id: _Optional[str] = ..., artifact_ref: _Optional[str] = ..., started_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., order: _Optional[int] = ..., metadata_json: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

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
