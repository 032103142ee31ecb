from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScopeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCOPE_KIND_UNSPECIFIED: _ClassVar[ScopeKind]
    SCOPE_KIND_RUN: _ClassVar[ScopeKind]
    SCOPE_KIND_STAGE: _ClassVar[ScopeKind]
    SCOPE_KIND_BATCH: _ClassVar[ScopeKind]
    SCOPE_KIND_SAMPLE: _ClassVar[ScopeKind]
    SCOPE_KIND_OPERATION: _ClassVar[ScopeKind]
    SCOPE_KIND_DEPLOYMENT: _ClassVar[ScopeKind]
SCOPE_KIND_UNSPECIFIED: ScopeKind
SCOPE_KIND_RUN: ScopeKind
SCOPE_KIND_STAGE: ScopeKind
SCOPE_KIND_BATCH: ScopeKind
SCOPE_KIND_SAMPLE: ScopeKind
SCOPE_KIND_OPERATION: ScopeKind
SCOPE_KIND_DEPLOYMENT: ScopeKind

class OpenSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: bytes
    def __init__(self, session_id: _Optional[bytes] = ...) -> None: ...

class OpenSessionResponse(_message.Message):
    __slots__ = ("next_sequence", "cursor", "known", "closed")
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    next_sequence: int
    cursor: bytes
    known: bool
    closed: bool
    def __init__(self, next_sequence: _Optional[int] = ..., cursor: _Optional[bytes] = ..., known: bool = ..., closed: bool = ...) -> None: ...

class AppendRequest(_message.Message):
    __slots__ = ("session_id", "first_sequence", "count", "checksum", "body", "cursor")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    session_id: bytes
    first_sequence: int
    count: int
    checksum: int
    body: bytes
    cursor: bytes
    def __init__(self, session_id: _Optional[bytes] = ..., first_sequence: _Optional[int] = ..., count: _Optional[int] = ..., checksum: _Optional[int] = ..., body: _Optional[bytes] = ..., cursor: _Optional[bytes] = ...) -> None: ...

class AppendResponse(_message.Message):
    __slots__ = ("next_sequence",)
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    next_sequence: int
    def __init__(self, next_sequence: _Optional[int] = ...) -> None: ...

class SettleRequest(_message.Message):
    __slots__ = ("session_id", "sequence", "timeout_ms")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    session_id: bytes
    sequence: int
    timeout_ms: int
    def __init__(self, session_id: _Optional[bytes] = ..., sequence: _Optional[int] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class SettleResponse(_message.Message):
    __slots__ = ("settled",)
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    settled: bool
    def __init__(self, settled: bool = ...) -> None: ...

class CloseSessionRequest(_message.Message):
    __slots__ = ("session_id", "sequence")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    session_id: bytes
    sequence: int
    def __init__(self, session_id: _Optional[bytes] = ..., sequence: _Optional[int] = ...) -> None: ...

class CloseSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReportWorkersRequest(_message.Message):
    __slots__ = ("sender_pid", "workers")
    SENDER_PID_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    sender_pid: int
    workers: _containers.RepeatedCompositeFieldContainer[WorkerReport]
    def __init__(self, sender_pid: _Optional[int] = ..., workers: _Optional[_Iterable[_Union[WorkerReport, _Mapping]]] = ...) -> None: ...

class ReportWorkersResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WorkerReport(_message.Message):
    __slots__ = ("session_id", "pid", "alive", "captured", "durable", "dropped", "spool_bytes", "spilled_bytes", "oldest_ns", "dropped_by_reason")
    class DroppedByReasonEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    SPOOL_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPILLED_BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_NS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_BY_REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: bytes
    pid: int
    alive: bool
    captured: int
    durable: int
    dropped: int
    spool_bytes: int
    spilled_bytes: int
    oldest_ns: int
    dropped_by_reason: _containers.ScalarMap[str, int]
    def __init__(self, session_id: _Optional[bytes] = ..., pid: _Optional[int] = ..., alive: bool = ..., captured: _Optional[int] = ..., durable: _Optional[int] = ..., dropped: _Optional[int] = ..., spool_bytes: _Optional[int] = ..., spilled_bytes: _Optional[int] = ..., oldest_ns: _Optional[int] = ..., dropped_by_reason: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("entries", "columns", "rows")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    columns: _containers.RepeatedCompositeFieldContainer[MetricColumns]
    rows: _containers.RepeatedCompositeFieldContainer[MetricRows]
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., columns: _Optional[_Iterable[_Union[MetricColumns, _Mapping]]] = ..., rows: _Optional[_Iterable[_Union[MetricRows, _Mapping]]] = ...) -> None: ...

class MetricColumns(_message.Message):
    __slots__ = ("time_ns", "value", "step", "series", "layout")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    time_ns: _containers.RepeatedScalarFieldContainer[int]
    value: _containers.RepeatedScalarFieldContainer[float]
    step: _containers.RepeatedScalarFieldContainer[int]
    series: _containers.RepeatedScalarFieldContainer[int]
    layout: int
    def __init__(self, time_ns: _Optional[_Iterable[int]] = ..., value: _Optional[_Iterable[float]] = ..., step: _Optional[_Iterable[int]] = ..., series: _Optional[_Iterable[int]] = ..., layout: _Optional[int] = ...) -> None: ...

class MetricRows(_message.Message):
    __slots__ = ("group_id", "time_ns", "step", "scope_id", "value", "layout")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    time_ns: _containers.RepeatedScalarFieldContainer[int]
    step: _containers.RepeatedScalarFieldContainer[int]
    scope_id: _containers.RepeatedScalarFieldContainer[int]
    value: _containers.RepeatedScalarFieldContainer[float]
    layout: int
    def __init__(self, group_id: _Optional[int] = ..., time_ns: _Optional[_Iterable[int]] = ..., step: _Optional[_Iterable[int]] = ..., scope_id: _Optional[_Iterable[int]] = ..., value: _Optional[_Iterable[float]] = ..., layout: _Optional[int] = ...) -> None: ...

class RawBatch(_message.Message):
    __slots__ = ("entries", "columns", "rows")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedScalarFieldContainer[bytes]
    columns: _containers.RepeatedCompositeFieldContainer[RawMetricColumns]
    rows: _containers.RepeatedCompositeFieldContainer[RawMetricRows]
    def __init__(self, entries: _Optional[_Iterable[bytes]] = ..., columns: _Optional[_Iterable[_Union[RawMetricColumns, _Mapping]]] = ..., rows: _Optional[_Iterable[_Union[RawMetricRows, _Mapping]]] = ...) -> None: ...

class RawMetricColumns(_message.Message):
    __slots__ = ("time_ns", "value", "step", "series", "layout")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    time_ns: bytes
    value: bytes
    step: bytes
    series: bytes
    layout: int
    def __init__(self, time_ns: _Optional[bytes] = ..., value: _Optional[bytes] = ..., step: _Optional[bytes] = ..., series: _Optional[bytes] = ..., layout: _Optional[int] = ...) -> None: ...

class RawMetricRows(_message.Message):
    __slots__ = ("group_id", "time_ns", "step", "scope_id", "value", "layout")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    time_ns: bytes
    step: bytes
    scope_id: bytes
    value: bytes
    layout: int
    def __init__(self, group_id: _Optional[int] = ..., time_ns: _Optional[bytes] = ..., step: _Optional[bytes] = ..., scope_id: _Optional[bytes] = ..., value: _Optional[bytes] = ..., layout: _Optional[int] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("time_ns", "session_opened", "scope_opened", "scope_closed", "key_defined", "group_defined", "event", "span", "artifact_registered", "artifact_hashed", "environment", "degraded", "wide_metric", "dropped", "session_ended", "model_stored", "record_stored")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    SESSION_OPENED_FIELD_NUMBER: _ClassVar[int]
    SCOPE_OPENED_FIELD_NUMBER: _ClassVar[int]
    SCOPE_CLOSED_FIELD_NUMBER: _ClassVar[int]
    KEY_DEFINED_FIELD_NUMBER: _ClassVar[int]
    GROUP_DEFINED_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_REGISTERED_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_HASHED_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    WIDE_METRIC_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    SESSION_ENDED_FIELD_NUMBER: _ClassVar[int]
    MODEL_STORED_FIELD_NUMBER: _ClassVar[int]
    RECORD_STORED_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    session_opened: SessionOpened
    scope_opened: ScopeOpened
    scope_closed: ScopeClosed
    key_defined: KeyDefined
    group_defined: GroupDefined
    event: EventCaptured
    span: SpanCaptured
    artifact_registered: ArtifactRegistered
    artifact_hashed: ArtifactHashed
    environment: EnvironmentCaptured
    degraded: DegradedCaptured
    wide_metric: WideMetric
    dropped: Dropped
    session_ended: SessionEnded
    model_stored: ModelStored
    record_stored: RecordStored
    def __init__(self, time_ns: _Optional[int] = ..., session_opened: _Optional[_Union[SessionOpened, _Mapping]] = ..., scope_opened: _Optional[_Union[ScopeOpened, _Mapping]] = ..., scope_closed: _Optional[_Union[ScopeClosed, _Mapping]] = ..., key_defined: _Optional[_Union[KeyDefined, _Mapping]] = ..., group_defined: _Optional[_Union[GroupDefined, _Mapping]] = ..., event: _Optional[_Union[EventCaptured, _Mapping]] = ..., span: _Optional[_Union[SpanCaptured, _Mapping]] = ..., artifact_registered: _Optional[_Union[ArtifactRegistered, _Mapping]] = ..., artifact_hashed: _Optional[_Union[ArtifactHashed, _Mapping]] = ..., environment: _Optional[_Union[EnvironmentCaptured, _Mapping]] = ..., degraded: _Optional[_Union[DegradedCaptured, _Mapping]] = ..., wide_metric: _Optional[_Union[WideMetric, _Mapping]] = ..., dropped: _Optional[_Union[Dropped, _Mapping]] = ..., session_ended: _Optional[_Union[SessionEnded, _Mapping]] = ..., model_stored: _Optional[_Union[ModelStored, _Mapping]] = ..., record_stored: _Optional[_Union[RecordStored, _Mapping]] = ...) -> None: ...

class SessionOpened(_message.Message):
    __slots__ = ("host", "pid", "parent_session_id", "job_id", "rank", "local_rank", "world_size", "client_version", "launcher", "project_name")
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PARENT_SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    LOCAL_RANK_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    LAUNCHER_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    host: str
    pid: int
    parent_session_id: bytes
    job_id: str
    rank: int
    local_rank: int
    world_size: int
    client_version: str
    launcher: str
    project_name: str
    def __init__(self, host: _Optional[str] = ..., pid: _Optional[int] = ..., parent_session_id: _Optional[bytes] = ..., job_id: _Optional[str] = ..., rank: _Optional[int] = ..., local_rank: _Optional[int] = ..., world_size: _Optional[int] = ..., client_version: _Optional[str] = ..., launcher: _Optional[str] = ..., project_name: _Optional[str] = ...) -> None: ...

class ScopeOpened(_message.Message):
    __slots__ = ("scope_id", "parent_id", "kind", "ref", "name", "inherited", "metadata_json", "tags_json", "dataset_ref", "code_revision", "config_snapshot_json", "resume", "retention_class", "redaction_profile", "run_ref", "artifact_ref", "environment_snapshot_ref", "project_name")
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INHERITED_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_JSON_FIELD_NUMBER: _ClassVar[int]
    DATASET_REF_FIELD_NUMBER: _ClassVar[int]
    CODE_REVISION_FIELD_NUMBER: _ClassVar[int]
    CONFIG_SNAPSHOT_JSON_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    RETENTION_CLASS_FIELD_NUMBER: _ClassVar[int]
    REDACTION_PROFILE_FIELD_NUMBER: _ClassVar[int]
    RUN_REF_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_REF_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_SNAPSHOT_REF_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    scope_id: int
    parent_id: int
    kind: ScopeKind
    ref: str
    name: str
    inherited: bool
    metadata_json: str
    tags_json: str
    dataset_ref: str
    code_revision: str
    config_snapshot_json: str
    resume: bool
    retention_class: str
    redaction_profile: str
    run_ref: str
    artifact_ref: str
    environment_snapshot_ref: str
    project_name: str
    def __init__(self, scope_id: _Optional[int] = ..., parent_id: _Optional[int] = ..., kind: _Optional[_Union[ScopeKind, str]] = ..., ref: _Optional[str] = ..., name: _Optional[str] = ..., inherited: bool = ..., metadata_json: _Optional[str] = ..., tags_json: _Optional[str] = ..., dataset_ref: _Optional[str] = ..., code_revision: _Optional[str] = ..., config_snapshot_json: _Optional[str] = ..., resume: bool = ..., retention_class: _Optional[str] = ..., redaction_profile: _Optional[str] = ..., run_ref: _Optional[str] = ..., artifact_ref: _Optional[str] = ..., environment_snapshot_ref: _Optional[str] = ..., project_name: _Optional[str] = ...) -> None: ...

class ScopeClosed(_message.Message):
    __slots__ = ("scope_id", "status", "reason")
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    scope_id: int
    status: str
    reason: str
    def __init__(self, scope_id: _Optional[int] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class KeyDefined(_message.Message):
    __slots__ = ("key_id", "key", "unit", "value_type", "aggregation_scope", "summary_basis", "tags_json")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    VALUE_TYPE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_BASIS_FIELD_NUMBER: _ClassVar[int]
    TAGS_JSON_FIELD_NUMBER: _ClassVar[int]
    key_id: int
    key: str
    unit: str
    value_type: str
    aggregation_scope: str
    summary_basis: str
    tags_json: str
    def __init__(self, key_id: _Optional[int] = ..., key: _Optional[str] = ..., unit: _Optional[str] = ..., value_type: _Optional[str] = ..., aggregation_scope: _Optional[str] = ..., summary_basis: _Optional[str] = ..., tags_json: _Optional[str] = ...) -> None: ...

class GroupDefined(_message.Message):
    __slots__ = ("group_id", "key_id")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    group_id: int
    key_id: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, group_id: _Optional[int] = ..., key_id: _Optional[_Iterable[int]] = ...) -> None: ...

class EventCaptured(_message.Message):
    __slots__ = ("scope_id", "key", "level", "message", "attributes_json", "tags_json")
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_JSON_FIELD_NUMBER: _ClassVar[int]
    scope_id: int
    key: str
    level: str
    message: str
    attributes_json: str
    tags_json: str
    def __init__(self, scope_id: _Optional[int] = ..., key: _Optional[str] = ..., level: _Optional[str] = ..., message: _Optional[str] = ..., attributes_json: _Optional[str] = ..., tags_json: _Optional[str] = ...) -> None: ...

class SpanCaptured(_message.Message):
    __slots__ = ("scope_id", "name", "span_id", "trace_id", "parent_span_id", "started_ns", "ended_ns", "status", "span_kind", "attributes_json", "linked_ref")
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_NS_FIELD_NUMBER: _ClassVar[int]
    ENDED_NS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SPAN_KIND_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_JSON_FIELD_NUMBER: _ClassVar[int]
    LINKED_REF_FIELD_NUMBER: _ClassVar[int]
    scope_id: int
    name: str
    span_id: str
    trace_id: str
    parent_span_id: str
    started_ns: int
    ended_ns: int
    status: str
    span_kind: str
    attributes_json: str
    linked_ref: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, scope_id: _Optional[int] = ..., name: _Optional[str] = ..., span_id: _Optional[str] = ..., trace_id: _Optional[str] = ..., parent_span_id: _Optional[str] = ..., started_ns: _Optional[int] = ..., ended_ns: _Optional[int] = ..., status: _Optional[str] = ..., span_kind: _Optional[str] = ..., attributes_json: _Optional[str] = ..., linked_ref: _Optional[_Iterable[str]] = ...) -> None: ...

class ArtifactRegistered(_message.Message):
    __slots__ = ("scope_id", "ref", "artifact_kind", "path", "exists", "size_bytes", "modified_ns", "inode", "compute_hash", "attributes_json")
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_KIND_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_NS_FIELD_NUMBER: _ClassVar[int]
    INODE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_HASH_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_JSON_FIELD_NUMBER: _ClassVar[int]
    scope_id: int
    ref: str
    artifact_kind: str
    path: str
    exists: bool
    size_bytes: int
    modified_ns: int
    inode: int
    compute_hash: bool
    attributes_json: str
    def __init__(self, scope_id: _Optional[int] = ..., ref: _Optional[str] = ..., artifact_kind: _Optional[str] = ..., path: _Optional[str] = ..., exists: bool = ..., size_bytes: _Optional[int] = ..., modified_ns: _Optional[int] = ..., inode: _Optional[int] = ..., compute_hash: bool = ..., attributes_json: _Optional[str] = ...) -> None: ...

class ArtifactHashed(_message.Message):
    __slots__ = ("ref", "hash_value", "size_bytes", "problem", "detail", "stored_path", "session_id", "scope_id")
    REF_FIELD_NUMBER: _ClassVar[int]
    HASH_VALUE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STORED_PATH_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    ref: str
    hash_value: str
    size_bytes: int
    problem: str
    detail: str
    stored_path: str
    session_id: bytes
    scope_id: int
    def __init__(self, ref: _Optional[str] = ..., hash_value: _Optional[str] = ..., size_bytes: _Optional[int] = ..., problem: _Optional[str] = ..., detail: _Optional[str] = ..., stored_path: _Optional[str] = ..., session_id: _Optional[bytes] = ..., scope_id: _Optional[int] = ...) -> None: ...

class EnvironmentCaptured(_message.Message):
    __slots__ = ("scope_id", "ref", "python_version", "platform", "packages_json", "environment_variables_json", "command_json", "host", "git_json", "details_json")
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_JSON_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    COMMAND_JSON_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    GIT_JSON_FIELD_NUMBER: _ClassVar[int]
    DETAILS_JSON_FIELD_NUMBER: _ClassVar[int]
    scope_id: int
    ref: str
    python_version: str
    platform: str
    packages_json: str
    environment_variables_json: str
    command_json: str
    host: str
    git_json: str
    details_json: str
    def __init__(self, scope_id: _Optional[int] = ..., ref: _Optional[str] = ..., python_version: _Optional[str] = ..., platform: _Optional[str] = ..., packages_json: _Optional[str] = ..., environment_variables_json: _Optional[str] = ..., command_json: _Optional[str] = ..., host: _Optional[str] = ..., git_json: _Optional[str] = ..., details_json: _Optional[str] = ...) -> None: ...

class DegradedCaptured(_message.Message):
    __slots__ = ("scope_id", "issue_key", "category", "severity", "summary", "subject_ref", "attributes_json")
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUE_KEY_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_REF_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_JSON_FIELD_NUMBER: _ClassVar[int]
    scope_id: int
    issue_key: str
    category: str
    severity: str
    summary: str
    subject_ref: str
    attributes_json: str
    def __init__(self, scope_id: _Optional[int] = ..., issue_key: _Optional[str] = ..., category: _Optional[str] = ..., severity: _Optional[str] = ..., summary: _Optional[str] = ..., subject_ref: _Optional[str] = ..., attributes_json: _Optional[str] = ...) -> None: ...

class WideMetric(_message.Message):
    __slots__ = ("scope_id", "key_id", "step", "value")
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    scope_id: int
    key_id: int
    step: int
    value: str
    def __init__(self, scope_id: _Optional[int] = ..., key_id: _Optional[int] = ..., step: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...

class Dropped(_message.Message):
    __slots__ = ("reason", "metrics_total", "entries_total")
    REASON_FIELD_NUMBER: _ClassVar[int]
    METRICS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    metrics_total: int
    entries_total: int
    def __init__(self, reason: _Optional[str] = ..., metrics_total: _Optional[int] = ..., entries_total: _Optional[int] = ...) -> None: ...

class SessionEnded(_message.Message):
    __slots__ = ("lost", "detail")
    LOST_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    lost: bool
    detail: str
    def __init__(self, lost: bool = ..., detail: _Optional[str] = ...) -> None: ...

class ModelStored(_message.Message):
    __slots__ = ("model", "ref", "json")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    model: str
    ref: str
    json: str
    def __init__(self, model: _Optional[str] = ..., ref: _Optional[str] = ..., json: _Optional[str] = ...) -> None: ...

class RecordStored(_message.Message):
    __slots__ = ("ref", "record_type", "json")
    REF_FIELD_NUMBER: _ClassVar[int]
    RECORD_TYPE_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    ref: str
    record_type: str
    json: str
    def __init__(self, ref: _Optional[str] = ..., record_type: _Optional[str] = ..., json: _Optional[str] = ...) -> None: ...
