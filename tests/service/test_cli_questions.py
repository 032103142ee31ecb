"""`contexta runs`, `run`, `tail`, `export` against a daemon that answers as the test says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import numpy as np
import pytest
from answering import Answering, refuse
from answering import answering as answering
from click.testing import CliRunner, Result

from contexta.v1 import query_pb2 as q
from contexta.v1.answers_pb2 import SeriesSummary
from contexta_client.cli.main import root

RUN = q.Run(
    run_id="run:iris.linear", project_name="iris", name="linear", status="failed", attempt=2, metric_count=1234567,
    started_at="2026-01-31T09:00:00.5Z", ended_at="2026-01-31T09:01:30.5Z", worker_count=4, lost_worker_count=1,
    dropped_count=12, tags_json='{"kind":"svm"}',
)  # fmt: skip
EVENT = q.Record(
    record_type="event", run_id="run:iris.linear", stage_id="stage:iris.linear.train", key="seen", rank=1,
    message="one\ntwo\x1b[31m", observed_at="2026-01-31T09:00:00.123456Z",
)  # fmt: skip
METRIC = q.Record(
    record_type="metric", run_id="run:iris.linear", key="loss", number=float("nan"), step=7, unit="nats",
    observed_at="2026-01-31T09:00:01.000000Z",
)  # fmt: skip


def ask(answering: Answering, *words: str) -> Result:
    environment = {"COLUMNS": "80", "CONTEXTA_DAEMON__AUTOSTART": "false"}
    return CliRunner().invoke(root, ["--workspace", str(answering.workspace), *words], env=environment)


def begin(answering: Answering, *words: str, **variables: str) -> subprocess.Popen[str]:
    """Start the command in a process of its own, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "contexta_client.cli", "--workspace", str(answering.workspace), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **variables},
    )


def test_runs_are_a_table_that_fits(answering: Answering) -> None:
    answering.answers["ListRuns"] = q.ListRunsResponse(runs=[RUN])
    options = "--project iris --status failed --tag kind=svm --desc --limit 5"
    result = ask(answering, "runs", *options.split())
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["run", "status", "started", "took", "metrics", "workers", "note"]
    whole = ["failed", "2026-01-31 09:00", "90.0 s", "1,234,567", "4"]
    assert re.split("  +", lines[1])[1:-1] == whole  # only the name and the note are folded
    assert set(" ".join(lines[1:]).split()) >= {"iris.linear", "#2", "lost,", "12", "dropped"}
    assert max(map(len, lines)) <= 80
    assert answering.asked[-1] == q.ListRunsRequest(
        project_name="iris", status="failed", tags_json='{"kind":"svm"}', sort_by="started_at", sort_desc=True, limit=5
    )


def test_runs_for_programs_are_one_document(answering: Answering) -> None:
    answering.answers["ListRuns"] = q.ListRunsResponse(runs=[RUN])
    (run,) = json.loads(ask(answering, "--format", "json", "runs").stdout)
    assert (run["run_id"], run["metric_count"], run["tags"]) == ("run:iris.linear", 1234567, {"kind": "svm"})
    answering.answers["ListRuns"] = q.ListRunsResponse()
    assert json.loads(ask(answering, "--format", "json", "run", "list").stdout) == []
    assert ask(answering, "runs").stdout == "There are no runs yet.\n"
    assert ask(answering, "runs", "--name", "x").stdout == "No runs match.\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_in_any_encoding_of_the_output(answering: Answering, encoding: str) -> None:
    name = "é 한\U0001f389 \\"
    answering.answers["ListRuns"] = q.ListRunsResponse(runs=[q.Run(run_id="run:iris.linear", name=name)])
    answering.answers["ScanRecords"] = [q.RecordPage(records=[q.Record(record_type="event", message=name)])]
    for words in (["--format", "json", "runs"], ["export", "jsonl", "-"]):
        printed, said = begin(answering, *words, PYTHONIOENCODING=encoding).communicate(timeout=20)
        assert said == ""
        found = json.loads(printed)
        assert name == (found["message"] if isinstance(found, dict) else found[0]["name"])
        assert printed.isascii() == (encoding != "utf-8")


def test_one_run_is_shown_with_all_that_belongs_to_it(answering: Answering) -> None:
    answering.answers.update(
        ListRuns=q.ListRunsResponse(runs=[RUN]),
        ListStages=q.ListStagesResponse(
            stages=[q.Stage(name="train", status="failed", started_at="2026-01-31T09:00:01Z")]
        ),
        ListWorkers=q.ListWorkersResponse(
            workers=[q.Worker(host="node-1", pid=4711, rank=3, status="lost", items=10000, dropped=12)]
        ),
        ListArtifacts=q.ListArtifactsResponse(
            artifacts=[q.Artifact(artifact_ref="artifact:iris.linear.model-1", kind="model", problem="changed")]
        ),
        GetEnvironment=q.GetEnvironmentResponse(
            found=True, python_version="3.11.7", platform="Linux", host="node-1", command_json='["python","train.py"]',
            packages_json='{"numpy":"2.0"}',
        ),
    )  # fmt: skip
    text = ask(answering, "run", "show", "linear", "--attempt", "2").stdout
    assert answering.asked[0] == q.ListRunsRequest(run_id="linear", attempt=2)
    for said in ("run:iris.linear", "kind=svm", "python train.py", "train", "4711", "10,000", "lost", "changed"):
        assert said in text
    shown = json.loads(ask(answering, "--format", "json", "run", "show", "linear").stdout)
    assert set(shown) == {"run", "stages", "artifacts", "workers", "environment"}
    assert (shown["workers"][0]["rank"], shown["workers"][0]["local_rank"]) == (3, None)


def series_reply(*values: float) -> q.GetStepSeriesResponse:
    count = len(values)
    return q.GetStepSeriesResponse(
        run_id="run:iris.linear",
        step=np.arange(count, dtype="<i8").tobytes(),
        has_step=bytes([1] * count),
        value=np.array(values, "<f8").tobytes(),
        time_ns=np.arange(count, dtype="<i8").tobytes(),
        rank=np.full(count, -1, "<i4").tobytes(),
        total_points=count,
    )


def of_stages(*stages: str) -> q.ListSeriesResponse:
    return q.ListSeriesResponse(
        series=[SeriesSummary(run_id="run:iris.linear", metric_key="loss", stage_name=stage) for stage in stages]
    )


def test_a_series_of_several_stages_says_that_it_is_mixed(answering: Answering) -> None:
    answering.answers |= {"GetStepSeries": series_reply(4.0, 2.0), "ListSeries": of_stages("val", "train")}
    text = ask(answering, "run", "series", "linear", "loss").stdout
    assert text.splitlines()[-1] == "of train and val, mixed; --stage shows one of them"
    assert "mixed" not in ask(answering, "run", "series", "linear", "loss", "--stage", "val").stdout


def test_a_series_is_a_line_for_people_and_columns_for_programs(answering: Answering) -> None:
    answering.answers |= {"GetStepSeries": series_reply(4.0, float("nan"), 2.0, 0.5), "ListSeries": of_stages("train")}
    text = ask(answering, "run", "series", "linear", "loss").stdout
    assert answering.asked[0].max_points == 60
    assert text.splitlines()[1] == "█!▄▁"
    assert "first 4, last 0.5, min 0.5, max 4" in text
    assert "NaN or infinite" in text
    table = ask(answering, "run", "series", "linear", "loss", "--csv", "--rank", "0").stdout.splitlines()
    assert table == ["step,time_ns,rank,value", "0,0,,4.0", "1,1,,nan", "2,2,,2.0", "3,3,,0.5"]
    assert (answering.asked[-1].max_points, answering.asked[-1].rank) == (0, 0)
    found = json.loads(ask(answering, "--format", "json", "run", "series", "linear", "loss").stdout)
    assert [point["value"] for point in found["points"]] == [4.0, "NaN", 2.0, 0.5]


def test_a_series_of_one_value_or_of_none_is_shown(answering: Answering) -> None:
    answering.answers |= {"GetStepSeries": series_reply(1.5), "ListSeries": of_stages("train")}
    assert "▁" in ask(answering, "run", "series", "linear", "loss").stdout
    answering.answers["GetStepSeries"] = series_reply()
    assert "0 points" in ask(answering, "run", "series", "linear", "loss").stdout


@pytest.mark.parametrize(
    ("values", "wide", "bars", "said"),
    [
        ([0.0, 10.0**308 * 1.7, -(10.0**308) * 1.7], {}, "▄█▁", "min -1.7e+308, max 1.7e+308"),
        ([0.0, 5e-324], {}, "▁█", "min 0, max 4.94066e-324"),
        ([1.0, float("inf"), 3.0], {1: 10**400}, "▁!█", "min 1, max 1.00000e+400"),
        ([float("-inf")], {0: -(10**400)}, "!", "min -1.00000e+400, max -1.00000e+400"),
    ],
)
def test_a_series_of_any_numbers_is_shown(
    answering: Answering, values: list[float], wide: dict[int, int], bars: str, said: str
) -> None:
    reply = series_reply(*values)
    reply.wide.update({place: str(whole) for place, whole in wide.items()})
    answering.answers |= {"GetStepSeries": reply, "ListSeries": of_stages("train")}
    result = ask(answering, "run", "series", "linear", "loss")
    assert result.exit_code == 0, result.exception
    assert result.stdout.splitlines()[1] == bars
    assert said in result.stdout and ("too large for a double" in result.stdout) == bool(wide)


def test_a_series_without_a_finite_number_says_so(answering: Answering) -> None:
    answering.answers |= {"GetStepSeries": series_reply(float("nan"), float("inf")), "ListSeries": of_stages("train")}
    assert "every value is NaN or infinite" in ask(answering, "run", "series", "linear", "loss").stdout


def test_an_unknown_run_is_an_error_that_names_the_nearest(answering: Answering) -> None:
    answering.answers["ListRuns"] = lambda request, context: refuse(
        context, grpc.StatusCode.NOT_FOUND, code="not_found", message="There is no run 'liner'. The nearest is linear."
    )
    result = ask(answering, "run", "show", "liner")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "contexta: There is no run 'liner'. The nearest is linear.\n"
    result = ask(answering, "--format", "json", "run", "show", "liner")
    assert (result.exit_code, json.loads(result.stderr)["code"]) == (1, "not_found")


def test_wrong_usage_ends_with_2(answering: Answering) -> None:
    for words in (("runs", "--sort", "loss"), ("run", "shwo", "x"), ("runs", "--tag", "no-equals"), ("nothing",)):
        result = ask(answering, *words)
        assert (result.exit_code, result.stdout) == (2, ""), words
    assert answering.asked == []


def test_where_there_is_no_workspace_it_says_so_and_makes_none(tmp_path: Path) -> None:
    for words in (("runs",), ("daemon", "status"), ("daemon", "logs"), ("daemon", "stop"), ("tail",)):
        result = CliRunner().invoke(root, ["--workspace", str(tmp_path / "none"), *words])
        assert result.exit_code == 1, words
        assert str(tmp_path / "none") in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_configuration_says_the_workspace_and_the_format_when_options_do_not(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTA_WORKSPACE__ROOT_PATH", str(answering.workspace))
    monkeypatch.setenv("CONTEXTA_SURFACES__OUTPUT_FORMAT", "json")
    monkeypatch.setenv("CONTEXTA_DAEMON__AUTOSTART", "false")
    answering.answers["ListRuns"] = q.ListRunsResponse()
    assert json.loads(CliRunner().invoke(root, ["runs"]).stdout) == []
    answering.stop()
    monkeypatch.setattr("contexta_client.query.channel.DRAIN_S", 0.1)
    assert json.loads(CliRunner().invoke(root, ["runs"]).stderr)["code"] == "daemon_unavailable"


def test_an_export_says_how_many_and_writes_to_a_pipe_too(answering: Answering, tmp_path: Path) -> None:
    answering.answers["ScanRecords"] = [q.RecordPage(records=[EVENT, METRIC])]
    target = tmp_path / "out.jsonl"
    result = ask(answering, "export", "jsonl", str(target), "--run", "linear", "--all-attempts")
    assert result.stdout == f"2 records written to {target}\n"
    assert answering.asked[-1].filter == q.RecordFilter(run_id="linear", all_attempts=True)
    piped = ask(answering, "export", "jsonl", "-").stdout
    assert piped == target.read_text()
    assert [json.loads(line)["value"] for line in piped.splitlines()] == [None, "NaN"]
    result = ask(answering, "export", "jsonl", str(tmp_path / "no" / "out.jsonl"))
    assert (result.exit_code, result.stderr) == (
        1, f"contexta: {tmp_path / 'no' / 'out.jsonl'} cannot be written: No such file or directory\n"
    )  # fmt: skip


def test_a_tail_prints_each_record_on_a_line_as_it_comes_and_ends_quietly_with_ctrl_c(answering: Answering) -> None:
    over = threading.Event()

    def answer(request: q.TailRequest, context: grpc.ServicerContext):
        context.add_callback(over.set)
        yield q.RecordPage(records=[EVENT, METRIC])
        over.wait(30)

    answering.answers["Tail"] = answer
    tail = begin(answering, "tail", "--run", "linear", "--from-start")
    assert tail.stdout is not None
    assert tail.stdout.readline() == "09:00:00.123 linear.train rank 1  seen  one\\ntwo\\x1b[31m\n"
    assert tail.stdout.readline() == "09:00:01.000 linear step 7  loss  nan nats\n"
    tail.send_signal(signal.SIGINT)
    rest, said = tail.communicate(timeout=20)
    assert (tail.returncode, rest, said) == (130, "", "")
    assert over.wait(60)
    assert answering.asked[-1] == q.TailRequest(filter=q.RecordFilter(run_id="linear"), from_start=True)


def test_a_tail_whose_reader_goes_away_ends_quietly(answering: Answering) -> None:
    over = threading.Event()
    more = threading.Event()

    def answer(request: q.TailRequest, context: grpc.ServicerContext):
        context.add_callback(over.set)
        yield q.RecordPage(records=[EVENT])
        more.wait(30)
        while not over.is_set():
            yield q.RecordPage(records=[METRIC] * 100)

    answering.answers["Tail"] = answer
    tail = begin(answering, "--format", "json", "tail")
    assert tail.stdout is not None
    assert tail.stderr is not None
    assert json.loads(tail.stdout.readline())["key"] == "seen"
    tail.stdout.close()
    more.set()
    assert tail.wait(20) == 0
    assert tail.stderr.read() == ""
    tail.stderr.close()


def test_a_list_whose_reader_is_gone_ends_quietly(answering: Answering) -> None:
    answering.answers["ListRuns"] = q.ListRunsResponse(runs=[RUN] * 3)
    runs = begin(answering, "runs")
    assert runs.stdout is not None
    runs.stdout.close()
    runs.stdout = None
    _, said = runs.communicate(timeout=20)
    assert (runs.returncode, said) == (0, "")
