"""Models put through the stores over what was captured: nothing captured is cut off, and the last word counts."""

import json
from contextlib import closing

import pytest
from column_files import Bench
from logged import NS, columns, entry, key_defined, run_opened, scope_closed, scope_opened, session_opened

from contexta.v1 import capture_pb2 as pb
from contexta.v1 import query_pb2 as q
from contexta_daemon.query import Cursor, Listing, Pages, RecordFilter, fleet_answers, read_series
from contexta_daemon.query.models import get_model, list_models
from contexta_daemon.query.sources import Sources

AT = "2026-01-01T00:00:00.000000Z"
AGAIN = NS + 5_000
LATER = "2026-01-01T00:00:01.000000Z"
STAGE = {"stage_execution_ref": "stage:p.r.train", "run_ref": "run:p.r", "stage_name": "train", "started_at": AT}
BATCH = {"batch_execution_ref": "batch:p.r.train.b", "run_ref": "run:p.r", "batch_name": "b", "started_at": AT}
SAMPLE = {"sample_observation_ref": "sample:p.r.train.b.x", "run_ref": "run:p.r", "sample_name": "x",
          "observed_at": AT}  # fmt: skip
DEPLOYMENT = {"deployment_execution_ref": "deployment:p.d", "project_ref": "project:p", "deployment_name": "d",
              "started_at": AT}  # fmt: skip
RUN = {"run_ref": "run:p.r", "project_ref": "project:p", "name": "r", "started_at": AT}
DEPLOYED = pb.ScopeOpened(
    scope_id=9, kind=pb.SCOPE_KIND_DEPLOYMENT, ref="deployment:p.d", name="d", project_name="p",
    artifact_ref="artifact:p.r.m", metadata_json='{"kept": 1}',
)  # fmt: skip
ARTIFACT = {"artifact_ref": "artifact:p.r.m", "run_ref": "run:p.r", "artifact_kind": "model", "created_at": AT,
            "location_ref": "path:/m"}  # fmt: skip


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def put(bench, model, fields, **more):
    ref = next(value for name, value in fields.items() if name.endswith("_ref"))
    text = json.dumps(fields | more, ensure_ascii=False)
    bench.log.add(9, entry(model_stored=pb.ModelStored(model=model, ref=ref, json=text)))


def got(bench, model, ref):
    with closing(bench.catalog.connect()) as connection:
        return json.loads(get_model(connection, model, ref).json)


def listed(bench):
    bench.run()
    with closing(bench.catalog.connect()) as connection:
        listing = Listing(connection)
        (run,) = listing.runs(q.ListRunsRequest()).runs
        return (
            run,
            listing.stages(q.ListStagesRequest(run_id="r")).stages,
            listing.deployments(q.ListDeploymentsRequest()).deployments,
        )


def captured(bench, *, closed=True):
    """A run with a stage, a batch in it and a sample in that, with a point in each."""
    bench.log.add(
        1,
        session_opened(),
        run_opened(),
        scope_opened(2, 1, "stage", "stage:p.r.train", metadata_json='{"kept": 1}'),
        scope_opened(3, 2, "batch", "batch:p.r.train.b"),
        scope_opened(4, 3, "sample", "sample:p.r.train.b.x", retention_class="long"),
        key_defined(1, "loss"),
    )
    points(bench, 1.0)
    if closed:
        bench.log.add(1, *[scope_closed(scope) for scope in (4, 3, 2, 1)])


def points(bench, value):
    bench.log.add(1, columns=[columns([value], series=(scope, 1)) for scope in (2, 3, 4)])


@pytest.mark.parametrize("closed", [True, False], ids=["after its end", "while it is open"])
def test_what_was_captured_in_a_scope_is_still_found_in_it_when_its_model_is_put(bench, closed):
    captured(bench, closed=closed)
    status = "completed" if closed else "open"
    bench.run()
    put(bench, "StageExecution", STAGE, status=status)
    put(bench, "BatchExecution", BATCH, status=status)
    put(bench, "SampleObservation", SAMPLE)
    if not closed:
        points(bench, 2.0)
        bench.log.add(1, *[scope_closed(scope) for scope in (4, 3, 2, 1)])
    _, (stage,), _ = listed(bench)
    assert (stage.status, stage.metadata_json) == ("completed", '{"kept": 1}')
    with closing(bench.catalog.connect()) as connection:
        (sample,) = Listing(connection).samples(q.ListSamplesRequest(run_id="r")).samples
        assert sample.retention_class == "long"
        asked = q.GetStepSeriesRequest(run_id="r", metric_key="loss", stage_name="train")
        for folder in (None, bench.folder):
            assert read_series(connection, bench.log, asked, columns=folder).total_points == (3 if closed else 6)
        pages = Pages(bench.log, connection, RecordFilter.of(connection, q.RecordFilter(run_id="r")), Cursor())
        places = [(each.stage_id, each.batch_id, each.sample_id) for each in pages.next(bench.log.committed).records]
    stage_id, batch_id, sample_id = "stage:p.r.train", "batch:p.r.train.b", "sample:p.r.train.b.x"
    assert places == [(stage_id, "", ""), (stage_id, batch_id, ""), (stage_id, batch_id, sample_id)] * (2 - closed)


def test_an_open_deployment_whose_model_is_put_still_ends_and_has_its_events(bench):
    bench.log.add(1, session_opened(), entry(scope_opened=DEPLOYED), run_opened(2))
    bench.run()
    put(bench, "DeploymentExecution", DEPLOYMENT, status="open")
    bench.log.add(1, entry(event=pb.EventCaptured(scope_id=9, key="e")), scope_closed(9, "failed"))
    _, _, (deployment,) = listed(bench)
    assert (deployment.status, deployment.artifact_ref, deployment.metadata_json) == (
        "failed", "artifact:p.r.m", '{"kept": 1}')  # fmt: skip
    with closing(bench.catalog.connect()) as connection:
        pages = Pages(bench.log, connection, RecordFilter(record_type="event"), Cursor())
        assert [each.deployment_id for each in pages.next(bench.log.committed).records] == ["deployment:p.d"]


def test_what_is_put_is_found_by_words_in_any_letters(bench):
    put(bench, "Run", RUN, status="completed", ended_at=LATER, description="최종 Größe")
    put(bench, "ArtifactManifest", ARTIFACT, attributes={"메모": "한글"})
    bench.catch_up()
    with closing(bench.catalog.connect()) as connection:
        sources = Sources(connection, bench.log, bench.log.committed, ())
        (run,) = fleet_answers.search_runs(sources, q.SearchRequest(text="größe 최종")).runs
        assert json.loads(run.metadata_json) == {"description": "최종 Größe"}
        for word in ("메모", "한글"):
            assert len(fleet_answers.search_artifacts(sources, q.SearchRequest(text=word)).artifacts) == 1


# --- what is captured behind a put ---


@pytest.mark.parametrize("of_list", [False, True], ids=["get", "list"])
def test_a_model_is_as_it_was_put_until_more_is_captured(bench, of_list):
    def now(model, ref):
        if of_list:
            with closing(bench.catalog.connect()) as connection:
                (found,) = list_models(connection, model, "")
            return json.loads(found.json)
        return got(bench, model, ref)

    captured(bench)
    bench.log.add(1, entry(scope_opened=DEPLOYED), scope_closed(9))
    ended = {"status": "completed", "ended_at": "2026-01-01T01:00:00Z"}
    put_over = {"Run": RUN | {"description": "kept"}, "StageExecution": STAGE, "BatchExecution": BATCH,
                "DeploymentExecution": DEPLOYMENT}  # fmt: skip
    for model, fields in put_over.items():
        put(bench, model, fields, **ended)
    bench.catch_up()
    refs = {model: next(iter(fields.values())) for model, fields in put_over.items()}
    for model, fields in put_over.items():
        assert now(model, refs[model]) == fields | ended
    deployed = pb.ScopeOpened()
    deployed.CopyFrom(DEPLOYED)
    deployed.scope_id = 19
    again = [
        run_opened(11, time_ns=AGAIN),
        scope_opened(12, 11, "stage", "stage:p.r.train", time_ns=AGAIN),
        scope_opened(13, 12, "batch", "batch:p.r.train.b", time_ns=AGAIN),
        entry(AGAIN, scope_opened=deployed),
    ]
    bench.log.add(1, *again)
    bench.catch_up()
    for model, fields in put_over.items():
        found = now(model, refs[model])
        assert (found["status"], found["started_at"]) == ("open", "2026-01-01T00:00:00.000005Z")
        assert "ended_at" not in found and found.keys() == (fields | {"status": ""}).keys()
    bench.log.add(1, *[scope_closed(scope, "failed") for scope in (19, 13, 12, 11)])
    bench.catch_up()
    run, (stage,), (deployment,) = listed(bench)
    assert {run.status, stage.status, deployment.status} == {"failed"}
    for model, fields in put_over.items():
        started_at = "2026-01-01T00:00:00.000005Z"
        expected = fields | {"status": "failed", "started_at": started_at, "ended_at": LATER}
        assert now(model, refs[model]) == expected


def test_a_sample_is_as_it_was_put(bench):
    captured(bench)
    put(bench, "SampleObservation", SAMPLE, observed_at="2026-01-01T00:00:00Z", metadata={"a": 1})
    bench.catch_up()
    assert got(bench, "SampleObservation", SAMPLE["sample_observation_ref"]) == {
        **SAMPLE, "observed_at": "2026-01-01T00:00:00Z", "metadata": {"a": 1}}  # fmt: skip


def test_of_several_environments_that_were_put_the_newest_counts(bench):
    captured(bench)
    for ref, at in (("a", "2026-01-01T00:00:00Z"), ("c", "2026-01-01T00:00:00.5Z"), ("b", "2026-01-01T00:00:01Z"),
                    ("d", "2026-01-01T00:00:00.25Z")):  # fmt: skip
        put(bench, "EnvironmentSnapshot", {"environment_snapshot_ref": f"environment:p.r.{ref}", "run_ref": "run:p.r",
            "captured_at": at, "python_version": ref, "platform": "x"})  # fmt: skip
        bench.catch_up()
        with closing(bench.catalog.connect()) as connection:
            found = Listing(connection).environment(q.GetEnvironmentRequest(run_id="r"))
        assert found.python_version == {"d": "b"}.get(ref, ref)
