"""`ctx.notebook`: reports where a notebook shows them, and answers as frames of pandas or polars."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .adapters.payloads import missing

if TYPE_CHECKING:
    from contexta.interpretation import ReportDocument

FRAME_HEIGHT_PX = 720


class Reports(Protocol):
    """What a notebook asks: a `Contexta`, or what stands for one in a test."""

    def build_snapshot_report(self, run_id: str) -> ReportDocument: ...
    def build_run_report(self, left: str, right: str) -> ReportDocument: ...
    def build_trend_report(
        self, metric_key: str, *, project_name: str | None = None, stage_name: str | None = None
    ) -> ReportDocument: ...


class Shown:
    """A report: a page in Jupyter, Markdown where there is only text."""

    def __init__(self, document: ReportDocument) -> None:
        self.document = document

    def _repr_html_(self) -> str:
        # In a frame, so that the page's style does not change the notebook's; without any right to run anything.
        page = html.escape(self.document.to_html(), quote=True)
        style = f"width:100%;height:{FRAME_HEIGHT_PX}px;border:1px solid #8884"
        return f'<iframe sandbox srcdoc="{page}" style="{style}"></iframe>'

    def _repr_markdown_(self) -> str:
        return self.document.to_markdown()

    def __repr__(self) -> str:
        return self.document.to_markdown()


class Notebook:
    """Shows what a `Contexta` answers. What the methods return is displayed by a notebook, and printed elsewhere."""

    def __init__(self, ctx: Reports) -> None:
        self._ctx = ctx

    def show_run(self, run_id: str) -> Shown:
        """Show the report of a run."""
        return self.render(self._ctx.build_snapshot_report(run_id))

    def compare_runs(self, left: str, right: str) -> Shown:
        """Show two runs side by side."""
        return self.render(self._ctx.build_run_report(left, right))

    def show_metric_trend(
        self, metric_key: str, *, project_name: str | None = None, stage_name: str | None = None
    ) -> Shown:
        """Show a metric over runs."""
        return self.render(
            self._ctx.build_trend_report(metric_key, project_name=project_name, stage_name=stage_name)
        )

    def render(self, document: ReportDocument) -> Shown:
        """Show any report."""
        return Shown(document)

    def to_pandas(self, answer: Any) -> Any:
        """Return an answer as a pandas.DataFrame; see `columns_of`. Raises DependencyError without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise missing("pandas", "notebook", error) from error
        return pandas.DataFrame(columns_of(answer))

    def to_polars(self, answer: Any) -> Any:
        """Return an answer as a polars.DataFrame; see `columns_of`. Raises DependencyError without polars."""
        try:
            import polars
        except ImportError as error:
            raise missing("polars", "notebook", error) from error
        return polars.DataFrame(columns_of(answer), strict=False)


def columns_of(answer: Any) -> dict[str, Any]:
    """Return an answer as columns, by name.

    A step series gives its arrays; a table, an SQL result and a trend their columns; a comparison of two runs a row for
    each metric; a comparison of many a row for each metric and a column for each run; a sequence of records a row each.
    """
    from contexta.interpretation import MultiRunComparison, RunComparison, StepSeries

    if isinstance(answer, StepSeries):
        return {"step": answer.steps, "value": answer.values, "time_ns": answer.times_ns, "rank": answer.ranks}
    if isinstance(answer, MultiRunComparison):
        rows = [
            {"stage_name": row.stage_name, "metric_key": row.metric_key, **row.values, "best_run_id": row.best_run_id}
            for row in answer.metric_table
        ]
        return _transposed(rows)
    if isinstance(answer, RunComparison):
        return _transposed([each.to_dict() for stage in answer.stage_comparisons for each in stage.metric_deltas])
    if hasattr(answer, "columns") and hasattr(answer, "rows"):
        return {name: [row[place] for row in answer.rows] for place, name in enumerate(answer.columns)}
    rows = getattr(answer, "points", answer)
    if isinstance(rows, Mapping) or not isinstance(rows, Sequence):
        rows = [rows]
    return _transposed([each.to_dict() if hasattr(each, "to_dict") else dict(each) for each in rows])


def _transposed(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
