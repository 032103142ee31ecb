"""`ctx.notebook`: reports where a notebook shows them, and answers as frames of pandas or polars."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from contexta.errors import ValidationError

from .adapters.payloads import missing

if TYPE_CHECKING:
    from contexta.interpretation import ReportDocument, StepSeries

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
    """Shows what a `Contexta` answers.

    A notebook, IPython and Python's prompt display what a method returns; in a script it is printed as Markdown.
    """

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
        return self.render(self._ctx.build_trend_report(metric_key, project_name=project_name, stage_name=stage_name))

    def render(self, document: ReportDocument) -> Shown:
        """Show any report."""
        shown = Shown(document)
        if not _displayed():
            print(shown)
        return shown

    def to_pandas(self, answer: Any) -> Any:
        """Return an answer as a pandas.DataFrame; see `columns_of`. Raises DependencyError without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise missing("pandas", "notebook", error) from error
        from contexta.interpretation import StepSeries

        # A series' own arrays, which may be long, are not copied.
        return pandas.DataFrame(columns_of(answer), copy=False if isinstance(answer, StepSeries) else None)

    def to_polars(self, answer: Any) -> Any:
        """Return an answer as a polars.DataFrame; see `columns_of`. Raises DependencyError without polars."""
        try:
            import polars
        except ImportError as error:
            raise missing("polars", "notebook", error) from error
        return polars.DataFrame(columns_of(answer), strict=False)


def _displayed() -> bool:
    """Whether the value of an expression is displayed by itself."""
    ipython = sys.modules.get("IPython")
    return hasattr(sys, "ps1") or (ipython is not None and ipython.get_ipython() is not None)


def columns_of(answer: Any) -> dict[str, Any]:
    """Return an answer as columns, by name.

    A step series gives its arrays, and a step of None where a point has none; a table, an SQL result and a trend their
    columns; a comparison of two runs a row for each metric; a comparison of many a row for each metric and a column for
    each run; records, or any other answers, a row each. Raises ValidationError for what has no rows.
    """
    from contexta.interpretation import MultiRunComparison, RunComparison, StepSeries

    if isinstance(answer, StepSeries):
        return _series(answer)
    if isinstance(answer, MultiRunComparison):
        rows = [
            {"stage_name": row.stage_name, "metric_key": row.metric_key, **row.values, "best_run_id": row.best_run_id}
            for row in answer.metric_table
        ]
        return _transposed(rows)
    if isinstance(answer, RunComparison):
        return _transposed([each.to_dict() for stage in answer.stage_comparisons for each in stage.metric_deltas])
    if hasattr(answer, "columns") and hasattr(answer, "rows"):
        names = _told_apart(answer.columns)
        return {name: [row[place] for row in answer.rows] for place, name in enumerate(names)}
    rows = getattr(answer, "points", answer)
    if isinstance(rows, Mapping) or hasattr(rows, "to_dict") or not isinstance(rows, Iterable):
        rows = [rows]
    return _transposed([_row(each) for each in rows])


def _series(series: StepSeries) -> dict[str, Any]:
    steps: Any = series.steps
    if not series.has_step.all():
        pairs = zip(series.steps.tolist(), series.has_step.tolist(), strict=True)
        steps = [step if has else None for step, has in pairs]
    return {"step": steps, "value": series.values, "time_ns": series.times_ns, "rank": series.ranks}


def _row(item: Any) -> Mapping[str, Any]:
    if hasattr(item, "to_dict"):
        row: Mapping[str, Any] = item.to_dict()
        return row
    if isinstance(item, Mapping):
        return item
    raise ValidationError(
        f"A {type(item).__name__} has no columns. Pass what a question answers: records, a series, a trend, a "
        "comparison, a table or an SQL result.",
        code="not_tabular",
        details={"type": type(item).__name__},
    )


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return names of columns, of which SQL allows several that are equal: the later ones with a number."""
    found: list[str] = []
    for name in names:
        free, number = name, 2
        while free in found:
            free, number = f"{name}_{number}", number + 1
        found.append(free)
    return found


def _transposed(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
