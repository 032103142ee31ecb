"""Commands whose answer is a file, a table of SQL, or an artifact."""

import csv
import io
import json
import subprocess
import sys

import duckdb
import pytest
from served import Served


@pytest.fixture
def ask(served: Served):
    with served.contexta() as ctx:
        for name in ("one", "two"):
            with ctx.run(name) as run, run.stage("train") as stage:
                for step in range(50):
                    stage.metric("loss", 1.0 / (step + 1), step=step, unit="nats")
                stage.metric("odd", float("nan"))
                stage.event("=note", message="@formula")

    def ask(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "contexta_client.cli", "--workspace", str(served.path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, input=given)

    return ask


def test_sql_is_a_table_for_people_and_lines_for_programs(ask) -> None:
    statement = "SELECT run_id, count(*) AS points FROM metrics WHERE metric_key = 'loss' GROUP BY run_id ORDER BY 1"
    assert ask("sql", statement).stdout.split() == ["run_id", "points", "run:demo.one", "50", "run:demo.two", "50"]
    said = ask("--format", "json", "sql", statement)
    assert json.loads(said.stdout) == [{"run_id": f"run:demo.{name}", "points": 50} for name in ("one", "two")]
    table = list(csv.reader(io.StringIO(ask("sql", "--csv", given=statement).stdout)))
    assert table == [["run_id", "points"], ["run:demo.one", "50"], ["run:demo.two", "50"]]


def test_sql_that_is_wrong_ends_with_1_and_says_what(ask) -> None:
    failed = ask("--format", "json", "sql", "DELETE FROM runs")
    assert failed.returncode == 1 and json.loads(failed.stderr)["code"] == "sql_not_read_only"


def test_metrics_become_a_parquet_file_that_any_engine_reads(ask, tmp_path) -> None:
    file = tmp_path / "metrics.parquet"
    done = ask("export", "parquet", str(file), "--run", "one")
    assert done.returncode == 0, done.stderr
    numbers = "key, count(*), min(value), max(step), any_value(unit), bool_or(isnan(value))"
    rows = duckdb.sql(f"SELECT {numbers} FROM '{file}' GROUP BY key ORDER BY key").fetchall()
    assert rows[0] == ("loss", 50, 0.02, 49, "nats", False)
    assert rows[1][:2] == ("odd", 1) and rows[1][5]
    assert list(tmp_path.glob(".*.tmp")) == []


def test_the_digits_of_integers_that_no_double_holds_are_in_the_parquet_file(ask, tmp_path, served: Served) -> None:
    integers = [2**53, 2**53 + 1, -(2**70) - 1, 10**400, -(10**400)]
    with served.contexta() as ctx, ctx.run("wide") as run, run.stage("train") as stage:
        for step, value in enumerate(integers):
            stage.metric("tokens", value, step=step)
    file = tmp_path / "wide.parquet"
    done = ask("export", "parquet", str(file), "--run", "wide")
    assert done.returncode == 0, done.stderr
    rows = duckdb.sql(f"SELECT value, wide FROM '{file}' ORDER BY step").fetchall()
    near = [float(2**53), float(2**53), -float(2**70), float("inf"), float("-inf")]
    assert rows == list(zip(near, [None, *map(str, integers[1:])], strict=True))


def test_captured_text_is_no_formula_in_a_spreadsheet(ask, tmp_path) -> None:
    file = tmp_path / "events.csv"
    assert ask("export", "csv", str(file), "--type", "event", "--run", "one").returncode == 0
    (row,) = csv.DictReader(file.read_text().splitlines())
    assert (row["key"], row["message"]) == ("'=note", "'@formula")
    cells = ask("sql", "--csv", "SELECT ' =1+1' AS a, 2 AS b").stdout.splitlines()
    assert cells == ["a,b", "' =1+1,2"]


def test_an_artifact_is_registered_verified_and_exported(ask, tmp_path, served: Served) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    registered = ask("--format", "json", "artifact", "register", str(model), "--kind", "model", "--run", "one")
    assert registered.returncode == 0, registered.stderr
    ref = json.loads(registered.stdout)["artifact_ref"]
    assert ref in ask("lineage", "run:demo.one").stdout
    assert ask("artifact", "verify", ref).returncode == 0
    assert ask("artifact", "export", ref, str(tmp_path / "out")).returncode == 0
    (stored,) = [path for path in (served.path / "artifacts" / "objects").rglob("*") if path.is_file()]
    stored.chmod(0o600)
    stored.write_bytes(b"changed")
    damaged = ask("artifact", "verify")
    assert damaged.returncode == 1 and "damaged" in damaged.stdout


def test_reports_take_their_form_from_the_files_name(ask, tmp_path) -> None:
    forms = {"r.html": "<!doctype html", "r.json": "{", "r.md": "# Trend Report", "r.csv": "section"}
    for name, begins in forms.items():
        done = ask("report", "trend", "loss", "--output", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_text().lower().startswith(begins.lower()), name
    assert ask("report", "project", "demo").stdout.startswith("# Project Summary Report")
    assert ask("report", "multi", "one", "two", "--render", "csv").returncode == 0


def test_every_command_has_help_with_an_example(ask) -> None:
    from contexta_client.cli.main import COMMANDS

    for name in COMMANDS:
        shown = ask(name, "--help")
        assert shown.returncode == 0 and "Usage: contexta" in shown.stdout, name
