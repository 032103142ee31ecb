"""`contexta search`, `aggregate`, `anomaly`, `sql`, `report` against a daemon that answers as the test says."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from answering import Answering
from answering import answering as answering
from test_cli_questions import ask

from contexta.v1 import query_pb2 as q
from contexta.v1.answers_pb2 import CompletenessNote, MetricAggregate, ReportDocument, ReportSection, Table
from contexta_client.cli.main import root


def test_a_search_says_when_there_is_more_than_it_shows(answering: Answering) -> None:
    answering.answers["SearchRuns"] = lambda request, context: q.ListRunsResponse(
        runs=[q.Run(run_id=f"run:p.r{number}") for number in range(min(request.limit, 70))]
    )
    answering.answers["SearchArtifacts"] = lambda request, context: q.ListArtifactsResponse(
        artifacts=[q.Artifact(artifact_ref=f"artifact:p.m{number}") for number in range(min(request.limit, 70))]
    )
    for kind in ("runs", "artifacts"):
        for options, count in (((), 50), (("--limit", "69"), 69), (("--limit", "70"), 70)):
            result = ask(answering, "--format", "json", "search", kind, "x", *options)
            assert len(json.loads(result.stdout)) == count
            said = f"Only the newest {count} are shown; --limit shows more.\n" if count < 70 else ""
            assert result.stderr == said


def test_values_of_the_run_itself_are_not_those_of_all(answering: Answering) -> None:
    answering.answers["Aggregate"] = q.AggregateResponse(
        groups=[
            q.AggregateResponse.Group(name=name, aggregate=MetricAggregate(count=count))
            for count, name in enumerate(("", "all"), 1)
        ]
    )
    for by, unnamed in (("stage", "(run)"), ("rank", "-")):
        lines = ask(answering, "aggregate", "loss", "--by", by).stdout.splitlines()
        assert [line.split()[0] for line in lines] == [by, unnamed, "all"]
        found = json.loads(ask(answering, "--format", "json", "aggregate", "loss", "--by", by).stdout)
        assert {name: each["count"] for name, each in found.items()} == {"": 1, "all": 2}
    answering.answers["Aggregate"] = q.AggregateResponse(groups=[q.AggregateResponse.Group()])
    assert ask(answering, "aggregate", "loss").stdout.splitlines()[1].split()[0] == "all"
    assert list(json.loads(ask(answering, "--format", "json", "aggregate", "loss").stdout)) == ["all"]


def test_what_was_not_compared_is_said_beside_the_answer(answering: Answering) -> None:
    note = CompletenessNote(severity="warning", summary="run:p.r has no metric 'los'. Did you mean 'loss'?")
    answering.answers["DetectAnomalies"] = q.DetectAnomaliesResponse(completeness_notes=[note])
    told = f"warning: {note.summary}\n"
    assert ask(answering, "anomaly", "r", "--metric", "los").stdout == f"No metric was compared.\n{told}"
    result = ask(answering, "--format", "json", "anomaly", "r", "--metric", "los")
    assert (result.stdout, result.stderr) == ("[]\n", told)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stdout", [io.StringIO, Terminal])
def test_csv_acts_on_no_terminal_and_is_exact_elsewhere(answering: Answering, stdout: type[io.StringIO]) -> None:
    name = "a\x1b[31m\x07\u202e\tb"
    answering.answers["Sql"] = [q.SqlPage(columns=["name"], types=["VARCHAR"], rows_json=json.dumps([[name]]))]
    table = Table(columns=["name"], rows_json=json.dumps([[name]]))
    answering.answers["BuildReport"] = ReportDocument(sections=[ReportSection(title="Runs", tables=[table])])
    for words in (["sql", "--csv", "SELECT 1"], ["report", "trend", "loss", "--render", "csv"]):
        with contextlib.redirect_stdout(stdout(newline="")) as out, pytest.raises(SystemExit):
            root(["--workspace", str(answering.workspace), *words])
        printed = out.getvalue()
        assert len(printed.splitlines()) == 2
        if stdout is Terminal:
            assert r"a\x1b[31m\x07\u202e\tb" in printed and "\r" not in printed
        else:
            assert name in printed
