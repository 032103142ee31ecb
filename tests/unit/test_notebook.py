"""`ctx.notebook` without a daemon: what is shown, and what becomes of answers."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from contexta.errors import DependencyError, ValidationError
from contexta.interpretation import (
    MetricTrend,
    MultiRunComparison,
    MultiRunMetricRow,
    ReportDocument,
    ReportSection,
    RunRecord,
    StepSeries,
    Table,
    TrendPoint,
)
from contexta.notebook import Notebook
from contexta_client.notebook import columns_of


class Reports:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []

    def build_snapshot_report(self, run_id):
        return self._made("snapshot", run_id)

    def build_run_report(self, left, right):
        return self._made("comparison", left, right)

    def build_trend_report(self, metric_key, *, project_name=None, stage_name=None):
        return self._made("trend", metric_key, project_name, stage_name)

    def _made(self, *asked):
        self.asked.append(asked)
        return ReportDocument(f"Report <{asked[0]}>", (ReportSection("One", "body"),))


def test_reports_are_shown_as_a_page_in_a_frame_and_as_text_elsewhere() -> None:
    reports = Reports()
    notebook = Notebook(reports)
    shown = notebook.show_run("r")
    page = shown._repr_html_()
    assert page.startswith("<iframe sandbox srcdoc=") and "<html" not in page  # escaped
    assert "Report" in shown._repr_markdown_() and "Report" in repr(shown)
    notebook.compare_runs("a", "b")
    notebook.show_metric_trend("loss", stage_name="train")
    assert reports.asked == [("snapshot", "r"), ("comparison", "a", "b"), ("trend", "loss", None, "train")]


def test_a_series_gives_its_own_arrays() -> None:
    series = StepSeries(
        "run:p.r", "loss", None, np.arange(3), np.ones(3, bool), np.array([1.0, 2.0, 3.0]), np.zeros(3, np.int64),
        np.zeros(3, np.int32),
    )  # fmt: skip
    found = columns_of(series)
    assert found["value"] is series.values and list(found) == ["step", "value", "time_ns", "rank"]
    some = columns_of(replace(series, has_step=np.array([False, True, True])))
    assert some["step"] == [None, 1, 2] and some["value"] is series.values


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_of_a_series_shares_its_values(library) -> None:
    pytest.importorskip(library, reason="the extra `notebook` is not installed")
    values = np.arange(1000.0)
    there, zeros = np.ones(1000, bool), np.zeros(1000, np.int64)
    series = StepSeries("run:p.r", "loss", None, zeros, there, values, zeros, zeros.astype(np.int32))
    frame = getattr(Notebook(Reports()), f"to_{library}")(series)
    assert frame.shape == (1000, 4) and np.shares_memory(frame["value"].to_numpy(), values)


def test_a_script_gets_its_report_printed_and_a_prompt_displays_it_itself(capsys, monkeypatch) -> None:
    monkeypatch.delattr(sys, "ps1", raising=False)
    monkeypatch.setitem(sys.modules, "IPython", None)
    shown = Notebook(Reports()).show_run("r")
    assert capsys.readouterr().out == f"{shown}\n"
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    Notebook(Reports()).show_run("r")
    monkeypatch.delattr(sys, "ps1")
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))
    Notebook(Reports()).show_run("r")
    assert capsys.readouterr().out == ""


def test_records_trends_tables_and_comparisons_become_columns() -> None:
    run = RunRecord("run:p.r", "p", "r", "open", "2026-01-01T00:00:00Z")
    assert columns_of([run, run])["name"] == ["r", "r"]
    assert columns_of(run)["status"] == ["open"]
    trend = MetricTrend("loss", None, (TrendPoint("run:p.r", "r", 0.5, "2026-01-01T00:00:00Z"),))
    assert columns_of(trend)["value"] == [0.5]
    assert columns_of(Table(("a", "b"), ((1, 2), (3, 4)))) == {"a": [1, 3], "b": [2, 4]}
    row = MultiRunMetricRow("loss", "train", {"run:p.a": 1.0, "run:p.b": None}, "run:p.a")
    found = columns_of(MultiRunComparison(("run:p.a", "run:p.b"), ("a", "b"), (row,), {}))
    assert found == {
        "stage_name": ["train"], "metric_key": ["loss"], "run:p.a": [1.0], "run:p.b": [None],
        "best_run_id": ["run:p.a"],
    }  # fmt: skip


def test_any_iterable_is_rows_and_equal_names_of_columns_stay_apart() -> None:
    assert columns_of({"a": number} for number in range(2)) == {"a": [0, 1]}
    assert columns_of(Table(("a", "a", "a_2"), ((1, 2, 3),))) == {"a": [1], "a_2": [2], "a_2_2": [3]}
    assert columns_of([]) == {}


@pytest.mark.parametrize("nothing", [5, [5], None, "text"])
def test_what_has_no_columns_is_refused(nothing) -> None:
    with pytest.raises(ValidationError, match="has no columns") as refused:
        columns_of(nothing)
    assert refused.value.code == "not_tabular"


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_hold_the_columns(library) -> None:
    pytest.importorskip(library, reason="the extra `notebook` is not installed")
    frame = getattr(Notebook(Reports()), f"to_{library}")([{"a": 1, "b": None}, {"a": 2, "b": "x"}])
    assert frame.shape == (2, 2) and list(frame["a"]) == [1, 2]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_without_the_library_it_is_said_what_to_install(library, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DependencyError, match="contexta\\[notebook\\]"):
        getattr(Notebook(Reports()), f"to_{library}")([])
