"""Artifacts that several workers registered, or that were put after they were captured; and where they went."""

import json
from contextlib import closing

import pytest
from column_files import Bench
from logged import entry, run_opened, scope_closed, session_opened

from contexta.v1 import capture_pb2 as pb
from contexta.v1 import query_pb2 as q
from contexta_daemon.query import Listing, fleet_answers, run_answers
from contexta_daemon.query.models import get_model, list_models
from contexta_daemon.query.sources import Sources
from contexta_daemon.query.sql_tables import TABLES, define_functions

AT = "2026-01-01T00:00:00.000000Z"
REF = "artifact:p.r.m"


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def registered(size, scope_id=1):
    made = pb.ArtifactRegistered(
        scope_id=scope_id, ref=REF, artifact_kind="model", path="/m", exists=True, size_bytes=size
    )
    return entry(artifact_registered=made)


def put(bench, model, **fields):
    ref = next(value for name, value in fields.items() if name.endswith("_ref"))
    bench.log.add(9, entry(model_stored=pb.ModelStored(model=model, ref=ref, json=json.dumps(fields))))


def by_ranks(bench):
    for rank in range(2):
        bench.log.add(rank, session_opened(job="j", rank=rank), run_opened())
    for rank in range(2):
        bench.log.add(rank, registered(rank + 100))


def by_capture_and_put(bench):
    bench.log.add(1, session_opened(), run_opened(), registered(1))
    put(bench, "ArtifactManifest", artifact_ref=REF, run_ref="run:p.r", artifact_kind="model", created_at=AT,
        location_ref="path:/m", size_bytes=101)  # fmt: skip


@pytest.mark.parametrize("twice", [by_ranks, by_capture_and_put])
def test_an_artifact_that_came_twice_is_one_as_it_was_last(bench, twice):
    twice(bench)
    bench.catch_up()
    with closing(bench.catalog.connect()) as connection:
        for asked in ({"run_id": "r"}, {"artifact_ref": REF}):
            found = Listing(connection).artifacts(q.ListArtifactsRequest(**asked)).artifacts
            assert [(each.artifact_ref, each.size_bytes) for each in found] == [(REF, 101)]
        models = list(list_models(connection, "ArtifactManifest", ""))
        assert [json.loads(each.json)["size_bytes"] for each in models] == [101]
        sources = Sources(connection, bench.log, bench.log.committed, ())
        trend = fleet_answers.trend(sources, q.GetTrendRequest(kind="artifact_size", subject="model"))
        assert [point.value for point in trend.points] == [101.0]
        assert len({each.relation_ref for each in sources.neighbours(REF)}) == len(sources.neighbours(REF)) == 1
        define_functions(connection)
        assert [row[0] for row in connection.execute(TABLES["artifacts"].query)] == [REF]


def test_an_artifact_of_two_attempts_is_one_of_each_and_its_model_is_that_of_the_last(bench):
    bench.log.add(1, session_opened())
    for size in (1, 2):
        bench.log.add(1, run_opened(size), registered(size, scope_id=size), scope_closed(size))
    bench.catch_up()
    with closing(bench.catalog.connect()) as connection:
        found = Listing(connection).artifacts(q.ListArtifactsRequest(artifact_ref=REF)).artifacts
        assert [each.size_bytes for each in found] == [1, 2]
        (model,) = list_models(connection, "ArtifactManifest", "")
        assert json.loads(model.json)["size_bytes"] == 2
        assert get_model(connection, "ArtifactManifest", REF).json == model.json


@pytest.mark.parametrize("of_run", [{}, {"run_ref": "run:p.r"}, {"run_ref": "run:p.another"}], ids=str)
def test_an_artifact_went_to_every_deployment_that_names_it(bench, of_run):
    bench.log.add(1, session_opened(), run_opened(), registered(1))
    for name, artifact in (("here", {"artifact_ref": REF}), ("elsewhere", {"artifact_ref": f"{REF}2"}), ("none", {})):
        put(bench, "DeploymentExecution", deployment_execution_ref=f"deployment:p.{name}", project_ref="project:p",
            deployment_name=name, status="completed", started_at=AT, ended_at=AT, **artifact, **of_run)  # fmt: skip
    bench.catch_up()
    with closing(bench.catalog.connect()) as connection:
        sources = Sources(connection, bench.log, bench.log.committed, ())
        found = run_answers.artifact_origin(sources, q.ArtifactOriginRequest(artifact_ref=REF))
    assert [each.name for each in found.deployments] == ["here"]
