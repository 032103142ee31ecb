from contexta.v1 import capture_pb2 as _capture_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PutModelsRequest(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_capture_pb2.ModelStored]
    def __init__(self, models: _Optional[_Iterable[_Union[_capture_pb2.ModelStored, _Mapping]]] = ...) -> None: ...

class PutModelsResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class PutRecordsRequest(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[_capture_pb2.RecordStored]
    def __init__(self, records: _Optional[_Iterable[_Union[_capture_pb2.RecordStored, _Mapping]]] = ...) -> None: ...

class PutRecordsResponse(_message.Message):
    __slots__ = ("receipts",)
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    receipts: _containers.RepeatedCompositeFieldContainer[RecordReceipt]
    def __init__(self, receipts: _Optional[_Iterable[_Union[RecordReceipt, _Mapping]]] = ...) -> None: ...

class RecordReceipt(_message.Message):
    __slots__ = ("record_ref", "duplicate")
    RECORD_REF_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    record_ref: str
    duplicate: bool
    def __init__(self, record_ref: _Optional[str] = ..., duplicate: bool = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("model", "ref")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    model: str
    ref: str
    def __init__(self, model: _Optional[str] = ..., ref: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _capture_pb2.ModelStored
    def __init__(self, model: _Optional[_Union[_capture_pb2.ModelStored, _Mapping]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("model", "parent_ref")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PARENT_REF_FIELD_NUMBER: _ClassVar[int]
    model: str
    parent_ref: str
    def __init__(self, model: _Optional[str] = ..., parent_ref: _Optional[str] = ...) -> None: ...

class ModelPage(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_capture_pb2.ModelStored]
    def __init__(self, models: _Optional[_Iterable[_Union[_capture_pb2.ModelStored, _Mapping]]] = ...) -> None: ...

class CheckIntegrityRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class IntegrityReport(_message.Message):
    __slots__ = ("intact", "segments", "batches", "items", "bytes", "problems")
    INTACT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    intact: bool
    segments: int
    batches: int
    items: int
    bytes: int
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, intact: bool = ..., segments: _Optional[int] = ..., batches: _Optional[int] = ..., items: _Optional[int] = ..., bytes: _Optional[int] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...
