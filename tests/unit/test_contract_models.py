"""The models: built valid or not at all."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from contexta import contract
from contexta.contract import Model
from contexta.errors import ValidationError

RUN = {
    "run_ref": "run:p.r",
    "project_ref": "project:p",
    "name": "r",
    "status": "completed",
    "started_at": "2025-01-10T09:00:00Z",
    "ended_at": "2025-01-10T12:00:00Z",
}
STAGE = {
    "stage_execution_ref": "stage:p.r.train",
    "run_ref": "run:p.r",
    "stage_name": "train",
    "status": "open",
    "started_at": "2025-01-10T09:00:00Z",
}
BATCH = {
    "batch_execution_ref": "batch:p.r.train.b",
    "run_ref": "run:p.r",
    "stage_execution_ref": "stage:p.r.train",
    "batch_name": "b",
    "status": "failed",
    "started_at": "2025-01-10T09:00:00Z",
    "ended_at": "2025-01-10T09:00:01Z",
}
SAMPLE = {
    "sample_observation_ref": "sample:p.r.train.b.s",
    "run_ref": "run:p.r",
    "stage_execution_ref": "stage:p.r.train",
    "batch_execution_ref": "batch:p.r.train.b",
    "sample_name": "s",
    "observed_at": "2025-01-10T09:00:00Z",
}
DEPLOYMENT = {
    "deployment_execution_ref": "deployment:p.prod",
    "project_ref": "project:p",
    "deployment_name": "prod",
    "status": "open",
    "started_at": "2025-01-10T09:00:00Z",
}
MANIFEST = {
    "artifact_ref": "artifact:p.r.model-1",
    "artifact_kind": "model",
    "created_at": "2025-01-10T09:00:00Z",
    "producer_ref": "contexta.capture",
    "run_ref": "run:p.r",
    "location_ref": "path:/tmp/model.pkl",
}
EDGE = {
    "relation_ref": "relation:p.r.one",
    "relation_type": "produced_by",
    "source_ref": "artifact:p.r.model-1",
    "target_ref": "run:p.r",
    "recorded_at": "2025-01-10T09:00:00Z",
    "origin_marker": "explicit",
    "confidence_marker": "high",
}
PROVENANCE = {
    "provenance_ref": "provenance:p.r.one",
    "relation_ref": "relation:p.r.one",
    "assertion_mode": "explicit",
    "asserted_at": "2025-01-10T09:00:00Z",
}
ENVIRONMENT = {
    "environment_snapshot_ref": "environment:p.r.runtime",
    "run_ref": "run:p.r",
    "captured_at": "2025-01-10T09:00:00Z",
    "python_version": "3.11.9",
    "platform": "linux",
    "packages": {"numpy": "2.0"},
}
OPERATION = {
    "operation_context_ref": "op:p.r.train.step",
    "run_ref": "run:p.r",
    "stage_execution_ref": "stage:p.r.train",
    "operation_name": "step",
    "observed_at": "2025-01-10T09:00:00Z",
}
PROJECT = {"project_ref": "project:p", "name": "p", "created_at": "2025-01-10T09:00:00Z", "tags": {"team": "a"}}

VALID: list[tuple[type[Model], dict[str, Any]]] = [
    (contract.Project, PROJECT),
    (contract.Run, RUN),
    (contract.StageExecution, STAGE),
    (contract.BatchExecution, BATCH),
    (contract.SampleObservation, SAMPLE),
    (contract.OperationContext, OPERATION),
    (contract.DeploymentExecution, DEPLOYMENT),
    (contract.EnvironmentSnapshot, ENVIRONMENT),
    (contract.ArtifactManifest, MANIFEST),
    (contract.LineageEdge, EDGE),
    (contract.ProvenanceRecord, PROVENANCE),
]


def refused(model: type[Model], values: dict[str, Any], **changes: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        model(**{**values, **changes})
    return caught.value


@pytest.mark.parametrize(("model", "values"), VALID, ids=lambda value: getattr(value, "__name__", ""))
def test_a_valid_model_is_built_and_gives_back_what_it_was_given(model: type[Model], values: dict[str, Any]) -> None:
    built = model(**values)
    plain = built.to_dict()
    assert plain.pop("schema_version") == "1.0.0"
    assert plain == values
    assert built.ref == values[model.ref_field]


@pytest.mark.parametrize(("model", "values"), VALID, ids=lambda value: getattr(value, "__name__", ""))
def test_a_model_without_a_required_field_is_refused(model: type[Model], values: dict[str, Any]) -> None:
    error = refused(model, values, **{model.ref_field: None})
    assert error.code == "field_missing"
    assert error.details["field"] == model.ref_field


@pytest.mark.parametrize(("model", "values"), VALID, ids=lambda value: getattr(value, "__name__", ""))
def test_a_model_never_changes_and_can_be_pickled(model: type[Model], values: dict[str, Any]) -> None:
    built = model(**values)
    with pytest.raises(AttributeError):
        built.schema_version = "1.0.1"  # type: ignore[misc]
    again = pickle.loads(pickle.dumps(built))
    assert again == built
    assert hash(again) == hash(built)


def test_a_mapping_in_a_model_cannot_be_changed_from_outside() -> None:
    given = {"framework": "torch"}
    manifest = contract.ArtifactManifest(**MANIFEST, attributes=given)
    given["framework"] = "jax"
    assert manifest.to_dict()["attributes"] == {"framework": "torch"}
    with pytest.raises(TypeError):
        manifest.attributes["framework"] = "jax"  # type: ignore[index]


def test_times_may_be_aware_datetimes() -> None:
    run = contract.Run(**{**RUN, "started_at": datetime(2025, 1, 10, 9, tzinfo=UTC)})
    assert run.started_at == "2025-01-10T09:00:00Z"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_an_ended_status_needs_its_end(status: str) -> None:
    assert contract.Run(**{**RUN, "status": status}).status == status
    assert refused(contract.Run, RUN, status=status, ended_at=None).code == "ended_at_status_mismatch"


def test_an_open_status_has_no_end() -> None:
    assert refused(contract.Run, RUN, status="open").code == "ended_at_status_mismatch"
    assert contract.Run(**{**RUN, "status": "open", "ended_at": None}).ended_at is None


def test_a_status_outside_the_choice_is_refused_and_told_the_choice() -> None:
    error = refused(contract.Run, RUN, status="done")
    assert error.code == "value_not_allowed"
    assert "'completed'" in error.message


@pytest.mark.parametrize(
    ("model", "values", "field", "value"),
    [
        (contract.Run, RUN, "run_ref", "run:other.r"),
        (contract.StageExecution, STAGE, "stage_execution_ref", "stage:p.other.train"),
        (contract.BatchExecution, BATCH, "batch_execution_ref", "batch:p.r.evaluate.b"),
        (contract.SampleObservation, SAMPLE, "sample_observation_ref", "sample:p.r.train.other.s"),
        (contract.SampleObservation, SAMPLE, "sample_observation_ref", "sample:p.r.train.s"),
        (contract.OperationContext, OPERATION, "operation_context_ref", "op:p.r.evaluate.step"),
        (contract.OperationContext, OPERATION, "operation_context_ref", "op:p.r.train.b.step"),
        (contract.DeploymentExecution, DEPLOYMENT, "deployment_execution_ref", "deployment:other.prod"),
        (contract.ArtifactManifest, MANIFEST, "artifact_ref", "artifact:p.other.model-1"),
        (contract.EnvironmentSnapshot, ENVIRONMENT, "environment_snapshot_ref", "environment:p.other.runtime"),
    ],
)
def test_a_child_outside_its_parent_is_refused(
    model: type[Model], values: dict[str, Any], field: str, value: str
) -> None:
    error = refused(model, values, **{field: value})
    assert error.code == f"{field}_prefix_mismatch"
    assert error.details["value"] == value


def test_a_name_that_only_begins_like_the_parent_is_no_child() -> None:
    assert refused(contract.Run, RUN, run_ref="run:pp.r").code == "run_ref_prefix_mismatch"


def test_a_deployment_may_point_to_a_run_of_another_project() -> None:
    deployment = contract.DeploymentExecution(
        **DEPLOYMENT, run_ref="run:other.r", artifact_ref="artifact:other.r.model"
    )
    assert deployment.run_ref == "run:other.r"


@pytest.mark.parametrize("name", ["batch_execution_ref", "sample_observation_ref", "operation_context_ref"])
def test_a_batch_sample_or_operation_needs_its_stage(name: str) -> None:
    refs = {
        "batch_execution_ref": "batch:p.r.train.b",
        "sample_observation_ref": "sample:p.r.train.s",
        "operation_context_ref": "op:p.r.train.o",
    }
    assert refused(contract.ArtifactManifest, MANIFEST, **{name: refs[name]}).code == "stage_execution_ref_missing"
    assert contract.ArtifactManifest(**MANIFEST, stage_execution_ref="stage:p.r.train", **{name: refs[name]})


def test_an_artifact_belongs_to_a_run_or_to_a_deployment() -> None:
    assert refused(contract.ArtifactManifest, MANIFEST, run_ref=None).code == "run_ref_missing"
    of_deployment = {**MANIFEST, "run_ref": None, "artifact_ref": "artifact:p.prod.model-1"}
    built = contract.ArtifactManifest(**of_deployment, deployment_execution_ref="deployment:p.prod")
    assert "run_ref" not in built.to_dict()


@pytest.mark.parametrize("kind", ["Model", "1model", "model-x", "", "model.x", None, 3])
def test_an_artifact_kind_of_other_characters_is_refused(kind: object) -> None:
    assert refused(contract.ArtifactManifest, MANIFEST, artifact_kind=kind).code in (
        "artifact_kind_invalid",
        "field_missing",
    )


@pytest.mark.parametrize("size", [-1, 1.5, "3", True])
def test_a_size_that_is_no_count_is_refused(size: object) -> None:
    assert refused(contract.ArtifactManifest, MANIFEST, size_bytes=size).code == "value_wrong_type"


@pytest.mark.parametrize(
    ("field", "value"),
    [("relation_type", "made_by"), ("origin_marker", "explicit_capture"), ("confidence_marker", "sure")],
)
def test_a_lineage_edge_takes_only_its_words(field: str, value: str) -> None:
    assert refused(contract.LineageEdge, EDGE, **{field: value}).code == "value_not_allowed"


def test_environment_values_are_texts() -> None:
    assert refused(contract.EnvironmentSnapshot, ENVIRONMENT, packages={"numpy": 2}).code == "value_wrong_type"
    assert refused(contract.EnvironmentSnapshot, ENVIRONMENT, packages=["numpy"]).code == "value_wrong_type"


@pytest.mark.parametrize("version", ["2.0.0", "1.0", "1", "", "1.x.0"])
def test_a_schema_version_of_another_generation_is_refused(version: str) -> None:
    assert refused(contract.Project, PROJECT, schema_version=version).code == "schema_version_unsupported"


def test_extensions_travel_with_a_model() -> None:
    project = contract.Project(**PROJECT, extensions=[{"namespace": "team", "fields": {"a": 1}}])
    assert project.to_dict()["extensions"] == [{"namespace": "team", "fields": {"a": 1}}]
    assert contract.deserialize_project(project.to_json()) == project


def test_an_unknown_field_is_refused_and_the_nearest_is_named() -> None:
    with pytest.raises(ValidationError, match="'started_at'") as caught:
        contract.Run.from_dict({**RUN, "startet_at": "x"})
    assert caught.value.code == "field_unknown"
