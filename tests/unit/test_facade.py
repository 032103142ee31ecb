"""`Contexta` itself: its surface, what it is built with, how it ends. No daemon is started."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import contexta
from contexta import Contexta, errors
from contexta.capture import LocalJsonlSink, MemorySink
from contexta.config import load_config
from contexta_client import launch

# As docs tell them: name -> parameters.
SURFACE = {
    "run": "name run_id tags metadata code_revision config_snapshot dataset_ref resume",
    "deployment": "name deployment_ref run_ref artifact_ref environment_snapshot_ref metadata",
    "metric": "key value unit step aggregation_scope tags summary_basis",
    "flush": "timeout",
    "close": "",
    "list_projects": "",
    "list_runs": "project_name status tags metric_conditions time_range limit offset sort_by sort_desc query",
    "list_deployments": "project_name run_id",
    "list_batches": "run_id stage_id",
    "list_samples": "run_id stage_id batch_id",
    "get_step_series": "run_id metric_key stage_id stage_name max_points rank",
}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Build Contextas on a workspace of the test that start nothing, and close them."""
    monkeypatch.setenv("CONTEXTA_SPOOL_DIR", str(tmp_path / "spools"))
    opened: list[Contexta] = []

    def make(*, sinks: Any = None, **config: Any) -> Contexta:
        patch = {"daemon": {"autostart": False}, "capture": {"exit_timeout_s": 0.2}, **config}
        opened.append(Contexta(workspace=tmp_path / "ws", config=patch, sinks=sinks))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.mark.parametrize("name", SURFACE)
def test_a_call_takes_the_parameters_that_the_docs_tell(made, name: str) -> None:
    parameters = list(inspect.signature(getattr(made(), name)).parameters)
    assert parameters == SURFACE[name].split()


def test_building_one_imports_nothing_heavy_and_touches_no_disk(tmp_path: Path) -> None:
    code = (
        "import sys; from contexta import Contexta; ctx = Contexta(workspace='ws'); ctx.close(); "
        "print(sorted({'grpc', 'google', 'numpy', 'duckdb', 'click', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_capture_calls_are_those_of_the_recorder_without_a_frame_between(made) -> None:
    ctx = made()
    for name in ("metric", "log", "event", "span", "register_artifact", "emit_metrics", "emit_events", "emit_spans"):
        assert getattr(ctx, name) == getattr(ctx.recorder, name)


def test_it_tells_what_it_was_built_with(made, tmp_path: Path) -> None:
    own = MemorySink()
    ctx = made(sinks=[own], project_name="Iris SVM")
    assert ctx.project_name == ctx.config.project_name == "Iris SVM"
    jsonl, second = ctx.sinks
    assert isinstance(jsonl, LocalJsonlSink)
    assert jsonl.name == "local-jsonl"
    assert jsonl.file_path_for("RECORD") == tmp_path / "ws" / "cache" / "capture" / "record.jsonl"
    assert second is own


def test_without_json_lines_files_only_the_users_sinks_are_left(made) -> None:
    own = MemorySink()
    assert made(sinks=[own], capture={"local_jsonl": False}).sinks == (own,)


def test_the_workspace_is_the_given_one_or_that_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Contexta().recorder.workspace == tmp_path / ".contexta"
    monkeypatch.setenv("CONTEXTA_WORKSPACE__ROOT_PATH", str(tmp_path / "of-variable"))
    assert Contexta().recorder.workspace == tmp_path / "of-variable"
    assert Contexta(workspace="given").recorder.workspace == tmp_path / "given"
    complete = load_config(workspace=tmp_path / "complete")
    assert Contexta.open(config=complete).recorder.workspace == tmp_path / "complete"


def test_a_program_that_changes_its_working_folder_before_its_first_run_keeps_its_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTA_SPOOL_DIR", str(tmp_path / "spools"))
    monkeypatch.chdir(tmp_path)
    ctx = Contexta(workspace="ws", config={"daemon": {"autostart": False}, "capture": {"exit_timeout_s": 0.2}})
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    with ctx.run("r"):
        settings = json.loads(next((tmp_path / "spools").glob("*/*/config.json")).read_text())
    assert settings["workspace"]["root_path"] == str(tmp_path / "ws")
    assert settings["workspace"]["records_path"] == str(tmp_path / "ws" / "records")
    assert ctx._connect()._config == ctx.config.for_services() == settings
    ctx.close()


def test_a_relative_workspace_in_a_folder_that_was_removed_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(errors.ConfigError, match="absolute path"):
        Contexta()
    assert Contexta(workspace=tmp_path / "ws").recorder.workspace == tmp_path / "ws"


def test_a_workspace_that_is_not_there_is_not_made_where_that_is_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"workspace": {"create_missing_dirs": False}}
    with pytest.raises(errors.NotFoundError, match="create_missing_dirs"):
        Contexta(workspace=tmp_path / "ws", config=config)
    only_asking = Contexta(workspace=tmp_path / "ws", profile="local+readonly")
    with pytest.raises(errors.NotFoundError):
        only_asking.list_runs()
    monkeypatch.setattr(launch, "start_daemon", lambda workspace, config: pytest.fail("started"))
    with pytest.raises(errors.NotFoundError, match="create_missing_dirs"):
        launch.ensure_daemon(tmp_path / "ws", config)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "ws").mkdir()
    Contexta(workspace=tmp_path / "ws", config=config).close()


def test_a_wrong_configuration_key_names_the_nearest(made) -> None:
    with pytest.raises(errors.ConfigError, match="spool_bytes"):
        made(capture={"spool_byte": 1})


def test_closing_twice_is_fine_and_capturing_afterwards_is_said(made) -> None:
    ctx = made()
    ctx.close()
    ctx.close()
    with pytest.raises(errors.LifecycleError) as caught:
        ctx.run("late")
    assert caught.value.code == "client_closed"


@pytest.mark.parametrize(
    ("raised", "status"),
    [(None, "completed"), (ValueError, "failed"), (KeyboardInterrupt, "cancelled"), (SystemExit(0), "completed")],
)
def test_what_is_still_open_when_it_is_left_ends_as_it_was_left(made, raised: Any, status: str) -> None:
    opened = []

    def body() -> None:
        with made() as ctx:
            opened.append(ctx.run("open"))
            opened.append(opened[0].stage("train"))
            if raised is not None:
                raise raised

    if raised is None:
        body()
    else:
        with pytest.raises(raised if isinstance(raised, type) else type(raised)):
            body()
    assert [scope.status for scope in opened] == [status, status]


def test_current_scopes_are_those_of_the_innermost_calls(made) -> None:
    ctx = made(capture={"exit_timeout_s": 0.2, "environment": False})
    with ctx.run("r") as run, run.stage("s") as stage, stage.batch("b") as batch, batch.sample("x") as sample:
        assert (ctx.current_run(), ctx.current_stage(), ctx.current_batch()) == (run, stage, batch)
        assert ctx.current_sample() is sample
        assert ctx.metric("loss", 1.0)
    assert ctx.current_run() is None


def test_a_question_first_waits_a_bounded_time_for_what_was_captured_and_says_what_may_be_missing(
    made, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from contexta_client import facade

    monkeypatch.setattr(facade, "QUERY_FLUSH_S", 0.05)
    ctx = made()
    waited: list[float | None] = []
    flush = ctx.flush
    monkeypatch.setattr(ctx, "flush", lambda timeout=None: (waited.append(timeout), flush(timeout)))
    ctx._flush_before_asking()
    assert waited == []  # nothing was captured
    ctx.run("r")
    caplog.clear()
    ctx._flush_before_asking()
    assert waited == [0.05]
    (said,) = caplog.messages
    assert "The answer may lack what this process captured last" in said and "not durable yet" in said


def test_a_question_that_no_daemon_can_answer_waits_for_nothing(made, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = made()
    ctx.run("r")
    monkeypatch.setattr(ctx, "flush", lambda timeout=None: pytest.fail("it waited"))
    with pytest.raises(errors.UnavailableError):
        ctx.list_runs()
    with pytest.raises(errors.UnavailableError):
        list(ctx.record_store.scan())


def test_the_package_tells_its_version_and_its_names() -> None:
    assert {"Contexta", "ContextaError", "__version__"} <= set(dir(contexta))
    assert contexta.Contexta is Contexta
