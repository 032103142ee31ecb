"""The canonical stores: models and records that a program puts and gets itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from contexta.contract import (
    ArtifactManifest,
    BatchExecution,
    DeploymentExecution,
    EnvironmentSnapshot,
    LineageEdge,
    Model,
    OperationContext,
    Project,
    ProvenanceRecord,
    Run,
    SampleObservation,
    StageExecution,
)
from contexta.errors import RejectedError, ValidationError
from contexta.v1 import capture_pb2, store_pb2

from .channel import Connection, message

ModelT = TypeVar("ModelT", bound=Model)
StoredT = TypeVar("StoredT", capture_pb2.ModelStored, capture_pb2.RecordStored)
PUT_AT_ONCE = 2_000
PUT_BYTES = 3 << 20  # of a call with more than one; the daemon takes 4 MiB
PUT_ITEM_BYTES = (4 << 20) - 1024


@dataclass(frozen=True, slots=True)
class PutReceipt:
    """A model that is durable."""

    ref: str


class Repository(Generic[ModelT]):
    """One kind of model: put, get, list. Putting a reference again replaces what was put.

    Its methods bear the model's name too: `put_run`, `get_run`, `list_runs`.
    """

    def __init__(self, connection: Connection, model: type[ModelT]) -> None:
        self._connection = connection
        self._model = model

    def put(self, model: ModelT) -> PutReceipt:
        """Return once the model is durable. Raises ValidationError for anything else than such a model."""
        return self.put_many([model])[0]

    def put_many(self, models: Iterable[ModelT]) -> list[PutReceipt]:
        """Put models with as few calls as they fit in; each is durable on return.

        Raises as `put`, and RejectedError for one of more than 4 MiB; what came in calls before that is stored.
        """
        self._connection.make_workspace()
        receipts: list[PutReceipt] = []
        for part in _parts(map(self._stored, models)):
            self._connection.call("store", "PutModels", store_pb2.PutModelsRequest(models=part))
            receipts += [PutReceipt(each.ref) for each in part]
        return receipts

    def get(self, ref: str) -> ModelT:
        """Raises NotFoundError. A captured one is shown as a model too."""
        request = message(store_pb2.GetModelRequest, model=self._model.__name__, ref=ref)
        return self._read(self._connection.call("store", "GetModel", request).model)

    def exists(self, ref: str) -> bool:
        """Whether there is a model of this reference."""
        from contexta.errors import NotFoundError

        try:
            self.get(ref)
        except NotFoundError:
            return False
        return True

    def list(self, parent_ref: str | None = None) -> list[ModelT]:
        """Return the models, by reference; parent_ref: those whose reference stands below it (a run's, a project's)."""
        return [*self.iterate(parent_ref)]

    def iterate(self, parent_ref: str | None = None) -> Iterator[ModelT]:
        """Yield the models page by page."""
        request = message(store_pb2.ListModelsRequest, model=self._model.__name__, parent_ref=parent_ref or "")
        for page in self._connection.stream("store", "ListModels", request):
            yield from map(self._read, page.models)

    def _stored(self, model: ModelT) -> capture_pb2.ModelStored:
        if not isinstance(model, self._model):
            raise ValidationError(
                f"This repository takes {self._model.__name__}, not {type(model).__name__}.", code="model_unknown"
            )
        return stored_model(model)

    def _read(self, stored: capture_pb2.ModelStored) -> ModelT:
        from contexta.contract.serialization import mapping_of

        return self._model.from_dict(mapping_of(stored.json))


class ProjectRepository(Repository[Project]):
    put_project = Repository.put
    get_project = Repository.get
    list_projects = Repository.list


class RunRepository(Repository[Run]):
    put_run = Repository.put
    get_run = Repository.get
    list_runs = Repository.list


class StageRepository(Repository[StageExecution]):
    put_stage_execution = Repository.put
    get_stage_execution = Repository.get
    list_stage_executions = Repository.list


class BatchRepository(Repository[BatchExecution]):
    put_batch_execution = Repository.put
    get_batch_execution = Repository.get
    list_batch_executions = Repository.list


class SampleRepository(Repository[SampleObservation]):
    put_sample_observation = Repository.put
    get_sample_observation = Repository.get
    list_sample_observations = Repository.list


class OperationRepository(Repository[OperationContext]):
    put_operation_context = Repository.put
    get_operation_context = Repository.get
    list_operation_contexts = Repository.list


class DeploymentRepository(Repository[DeploymentExecution]):
    put_deployment_execution = Repository.put
    get_deployment_execution = Repository.get
    list_deployment_executions = Repository.list


class EnvironmentRepository(Repository[EnvironmentSnapshot]):
    put_environment_snapshot = Repository.put
    get_environment_snapshot = Repository.get
    list_environment_snapshots = Repository.list


class RelationRepository(Repository[LineageEdge]):
    put_relation = Repository.put
    get_relation = Repository.get
    list_relations = Repository.list


class ProvenanceRepository(Repository[ProvenanceRecord]):
    put_provenance = Repository.put
    get_provenance = Repository.get
    list_provenance = Repository.list


class ArtifactManifestRepository(Repository[ArtifactManifest]):
    """The manifests that the artifact store puts."""


class MetadataStore:
    """The ten repositories of a workspace. Puts are in the log when they return; concurrent ones share a commit."""

    def __init__(self, connection: Connection, *, on_close: Callable[[], None] = lambda: None) -> None:
        self._on_close = on_close
        self.projects = ProjectRepository(connection, Project)
        self.runs = RunRepository(connection, Run)
        self.stages = StageRepository(connection, StageExecution)
        self.batches = BatchRepository(connection, BatchExecution)
        self.samples = SampleRepository(connection, SampleObservation)
        self.operations = OperationRepository(connection, OperationContext)
        self.deployments = DeploymentRepository(connection, DeploymentExecution)
        self.environments = EnvironmentRepository(connection, EnvironmentSnapshot)
        self.relations = RelationRepository(connection, LineageEdge)
        self.provenance = ProvenanceRepository(connection, ProvenanceRecord)
        self.artifacts = ArtifactManifestRepository(connection, ArtifactManifest)

    def close(self) -> None:
        """Drop the connection; the next use makes another. What was put is durable already."""
        self._on_close()

    def __enter__(self) -> MetadataStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stored_model(model: Model) -> capture_pb2.ModelStored:
    """Return a model as it travels."""
    return capture_pb2.ModelStored(model=type(model).__name__, ref=model.ref, json=model.to_json())


def stored_record(record: Any) -> capture_pb2.RecordStored:
    """Return a record as it travels: a record model, or a mapping with its envelope and payload. Raises
    ValidationError."""
    from contexta.contract.serialization import deserialize_record

    model = deserialize_record(record) if isinstance(record, Mapping) else record
    envelope = getattr(model, "envelope", None)
    if envelope is None:
        raise ValidationError(
            f"A record is MetricRecord, StructuredEventRecord, TraceSpanRecord or DegradedRecord, not "
            f"{type(record).__name__}.",
            code="record_type_unknown",
        )
    return capture_pb2.RecordStored(ref=envelope.record_ref, record_type=envelope.record_type, json=model.to_json())


def put_records(connection: Connection, records: Iterable[Any]) -> Sequence[store_pb2.RecordReceipt]:
    """Put records with as few calls as they fit in. Raises ValidationError, RejectedError; what came in calls before
    that is stored."""
    connection.make_workspace()
    receipts: list[store_pb2.RecordReceipt] = []
    for part in _parts(map(stored_record, records)):
        receipts += connection.call("store", "PutRecords", store_pb2.PutRecordsRequest(records=part)).receipts
    return receipts


def _parts(items: Iterable[StoredT]) -> Iterator[list[StoredT]]:
    """Yield the items in lists that each fit in a call. Raises RejectedError for one that fits in none."""
    part: list[StoredT] = []
    part_bytes = 0
    for each in items:
        size = each.ByteSize()
        if size > PUT_ITEM_BYTES:
            raise RejectedError(
                f"{each.ref[:200]} has {size:,} bytes; what is put has at most {PUT_ITEM_BYTES:,}. Keep large content "
                "as an artifact.",
                code="item_too_large",
                details={"ref": each.ref, "size_bytes": size, "limit_bytes": PUT_ITEM_BYTES},
            )
        if part and (len(part) == PUT_AT_ONCE or part_bytes + size > PUT_BYTES):
            yield part
            part, part_bytes = [], 0
        part.append(each)
        part_bytes += size
    if part:
        yield part
