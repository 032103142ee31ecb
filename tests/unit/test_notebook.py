"""`ctx.notebook` without a daemon: what is shown, and what becomes of answers."""

import sys

import numpy as np
import pytest

from contexta.errors import DependencyError
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
