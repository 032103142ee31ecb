from contexta.v1 import capture_pb2 as _capture_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "protocol_min", "protocol_max", "pid", "workspace", "started_at", "uptime_s", "log_file", "log", "followers", "sessions", "admitted_bytes", "admission_limit_bytes", "rejected_appends", "problem", "recovery_notes", "open_artifacts")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MIN_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MAX_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    LOG_FILE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    FOLLOWERS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    ADMISSION_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_APPENDS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    RECOVERY_NOTES_FIELD_NUMBER: _ClassVar[int]
    OPEN_ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    version: str
    protocol_min: int
    protocol_max: int
    pid: int
    workspace: str
    started_at: str
    uptime_s: float
    log_file: str
    log: LogStatus
    followers: _containers.RepeatedCompositeFieldContainer[FollowerStatus]
    sessions: _containers.RepeatedCompositeFieldContainer[SessionStatus]
    admitted_bytes: int
    admission_limit_bytes: int
    rejected_appends: int
    problem: str
    recovery_notes: _containers.RepeatedScalarFieldContainer[str]
    open_artifacts: int
    def __init__(self, version: _Optional[str] = ..., protocol_min: _Optional[int] = ..., protocol_max: _Optional[int] = ..., pid: _Optional[int] = ..., workspace: _Optional[str] = ..., started_at: _Optional[str] = ..., uptime_s: _Optional[float] = ..., log_file: _Optional[str] = ..., log: _Optional[_Union[LogStatus, _Mapping]] = ..., followers: _Optional[_Iterable[_Union[FollowerStatus, _Mapping]]] = ..., sessions: _Optional[_Iterable[_Union[SessionStatus, _Mapping]]] = ..., admitted_bytes: _Optional[int] = ..., admission_limit_bytes: _Optional[int] = ..., rejected_appends: _Optional[int] = ..., problem: _Optional[str] = ..., recovery_notes: _Optional[_Iterable[str]] = ..., open_artifacts: _Optional[int] = ...) -> None: ...

class LogStatus(_message.Message):
    __slots__ = ("segments", "bytes", "items", "last_append_at", "durability", "damaged_frames")
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    LAST_APPEND_AT_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FRAMES_FIELD_NUMBER: _ClassVar[int]
    segments: int
    bytes: int
    items: int
    last_append_at: str
    durability: str
    damaged_frames: int
    def __init__(self, segments: _Optional[int] = ..., bytes: _Optional[int] = ..., items: _Optional[int] = ..., last_append_at: _Optional[str] = ..., durability: _Optional[str] = ..., damaged_frames: _Optional[int] = ...) -> None: ...

class FollowerStatus(_message.Message):
    __slots__ = ("name", "lag_bytes", "problem")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LAG_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    name: str
    lag_bytes: int
    problem: str
    def __init__(self, name: _Optional[str] = ..., lag_bytes: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class SessionStatus(_message.Message):
    __slots__ = ("session_id", "durable", "closed", "host", "pid", "rank", "run_id", "report")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    session_id: bytes
    durable: int
    closed: bool
    host: str
    pid: int
    rank: int
    run_id: str
    report: _capture_pb2.WorkerReport
    def __init__(self, session_id: _Optional[bytes] = ..., durable: _Optional[int] = ..., closed: bool = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., rank: _Optional[int] = ..., run_id: _Optional[str] = ..., report: _Optional[_Union[_capture_pb2.WorkerReport, _Mapping]] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("when_idle",)
    WHEN_IDLE_FIELD_NUMBER: _ClassVar[int]
    when_idle: bool
    def __init__(self, when_idle: bool = ...) -> None: ...

class StopResponse(_message.Message):
    __slots__ = ("stopping", "reason")
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    stopping: bool
    reason: str
    def __init__(self, stopping: bool = ..., reason: _Optional[str] = ...) -> None: ...

class ErrorDetail(_message.Message):
    __slots__ = ("code", "message", "retryable", "retry_after_ms", "expected_sequence", "details")
    class DetailsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    retryable: bool
    retry_after_ms: int
    expected_sequence: int
    details: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., retryable: bool = ..., retry_after_ms: _Optional[int] = ..., expected_sequence: _Optional[int] = ..., details: _Optional[_Mapping[str, str]] = ...) -> None: ...
