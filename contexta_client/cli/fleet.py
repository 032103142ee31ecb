"""`contexta search`, `trend`, `aggregate`, `anomaly`, `alert`: questions over many runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import click

from .findings import POLICY, findings, print_notes
from .output import Terminal, examples, exits_with, number, short_time

Found = TypeVar("Found")

_OPERATORS = {">=": "gte", "<=": "lte", "==": "eq", "!=": "ne", ">": "gt", "<": "lt"}
PROJECT = click.option("--project", help="Only runs of this project.")
LIMIT = click.option("--limit", type=click.IntRange(1), default=50, help="This many at most (50).")


@click.group()
def search() -> None:
    """Search for words in names, references, tags, metadata and configuration."""


@search.command("runs", epilog=examples("contexta search runs svm holdout"))
@click.argument("words", nargs=-1, required=True)
@PROJECT
@LIMIT
@click.pass_obj
def search_runs(terminal: Terminal, words: Sequence[str], project: str | None, limit: int) -> None:
    """Find runs in which every word stands, the newest first."""
    found = findings(terminal).search_runs(" ".join(words), project_name=project, limit=limit + 1)
    found = _at_most(limit, found)
    if terminal.as_json:
        terminal.print_json([each.to_dict() for each in found])
        return
    rows = [(each.run_id, each.status, short_time(each.started_at)) for each in found]
    terminal.print_table(["~run", "status", "started"], rows, empty="No run matches.")


@search.command("artifacts", epilog=examples("contexta search artifacts checkpoint"))
@click.argument("words", nargs=-1, required=True)
@PROJECT
@LIMIT
@click.pass_obj
def search_artifacts(terminal: Terminal, words: Sequence[str], project: str | None, limit: int) -> None:
    """Find artifacts in which every word stands, the newest first."""
    found = findings(terminal).search_artifacts(" ".join(words), project_name=project, limit=limit + 1)
    found = _at_most(limit, found)
    if terminal.as_json:
        terminal.print_json([each.to_dict() for each in found])
        return
    rows = [(each.artifact_ref, each.kind, each.size_bytes, each.location) for each in found]
    terminal.print_table(["~artifact", "kind", ">bytes", "~location"], rows, empty="No artifact matches.")


def _at_most(limit: int, found: list[Found]) -> list[Found]:
    """Return what is to be shown of one more than that; that there is more is said beside the answer."""
    if len(found) > limit:
        print(f"Only the newest {limit} are shown; --limit shows more.", file=sys.stderr)
    return found[:limit]


@click.command(epilog=examples("contexta trend accuracy --stage evaluate", "contexta trend train --kind duration"))
@click.argument("subject", metavar="METRIC|STAGE|KIND")
@click.option("--kind", type=click.Choice(["metric", "duration", "artifact-size"]), default="metric")
@PROJECT
@click.option("--stage", help="Only in this stage.")
@click.pass_obj
def trend(terminal: Terminal, subject: str, kind: str, project: str | None, stage: str | None) -> None:
    """Show a metric, a stage's duration (s) or a kind of artifact's size (bytes) over runs, the oldest first."""
    from contexta.interpretation.run_names import told_apart
    from contexta_client.query.findings import which_runs

    asked, runs = findings(terminal), which_runs(project)
    found: Any = (
        asked.metric_trend(subject, runs, stage) if kind == "metric"
        else asked.duration_trend(subject, runs) if kind == "duration"
        else asked.size_trend(subject, runs)
    )  # fmt: skip
    if terminal.as_json:
        terminal.print_json(found.to_dict())
        return
    highest = max((abs(each.value) for each in found.points if abs(each.value) < float("inf")), default=0)
    names = told_apart({each.run_id: each.run_name for each in found.points})
    rows = [
        (names[each.run_id], each.stage_name or "", short_time(each.captured_at), number(each.value),
         _bar(each.value, highest))
        for each in found.points
    ]  # fmt: skip
    terminal.print_table(["~run", "~stage", "at", ">value", ""], rows, empty=f"No run has {subject!r}.")


def _bar(value: float, highest: float, width: int = 24) -> str:
    if not highest or value != value or abs(value) == float("inf"):
        return ""
    return "█" * round(abs(value) / highest * width)


@click.command(epilog=examples("contexta aggregate accuracy --by stage", "contexta aggregate loss --run ddp --by rank"))
@click.argument("metric")
@click.option("--by", type=click.Choice(["stage", "rank", "run"]), help="One line for each of these.")
@PROJECT
@click.option("--run", "run_ids", multiple=True, help="Only this run.")
@click.option("--stage", help="Only in this stage.")
@POLICY
@click.pass_obj
def aggregate(
    terminal: Terminal, metric: str, by: str | None, project: str | None, run_ids: Sequence[str], stage: str | None,
    policy: str,
) -> None:  # fmt: skip
    """Show the values of a metric over runs in numbers: count, mean, deviation, percentiles."""
    from contexta.interpretation.comparison import RUN_LEVEL
    from contexta_client.query.findings import which_runs

    runs = which_runs(project, run_ids or None)
    found = findings(terminal).aggregates(metric, runs, by=by or "", stage_name=stage, policy=policy)
    if terminal.as_json:
        terminal.print_json({name if by else "all": each.to_dict() for name, each in found.items()})
        return
    fields = ("count", "mean", "std", "min", "p25", "p50", "p75", "p95", "p99", "max")
    unnamed = {"stage": RUN_LEVEL, "rank": "-"}.get(by or "", "all")
    rows = [(name or unnamed, *(number(getattr(each, field)) for field in fields)) for name, each in found.items()]
    terminal.print_table([f"~{by or ''}", *(f">{field}" for field in fields)], rows, empty="")


@click.command(epilog=examples("contexta anomaly nightly-0412", "contexta anomaly nightly-0412 --threshold 2"))
@click.argument("run_id", metavar="RUN")
@click.option("--metric", help="Only this metric.")
@click.option("--stage", help="Only in this stage.")
@click.option("--baseline", multiple=True, metavar="RUN", help="Compare with these runs, not with all before.")
@click.option("--threshold", type=click.FloatRange(0, min_open=True), help="Standard deviations (3).")
@click.option("--fail", is_flag=True, help="Exit with 1 when there is an anomaly.")
@click.pass_obj
def anomaly(
    terminal: Terminal, run_id: str, metric: str | None, stage: str | None, baseline: Sequence[str],
    threshold: float | None, fail: bool,
) -> None:  # fmt: skip
    """Compare a run's metrics with those of the runs of its project before it."""
    found, notes = findings(terminal).anomalies(
        run_id, metric_key=metric, stage_name=stage, baseline_run_ids=baseline or None, threshold=threshold
    )
    exits_with(1 if fail and any(each.is_anomaly for each in found) else 0)
    if terminal.as_json:
        terminal.print_json([each.to_dict() for each in found])
        print_notes(notes, file=sys.stderr)
    else:
        rows = [
            ("!" if each.is_anomaly else "", each.stage_name or "", each.metric_key, number(each.value),
             number(each.baseline_mean), number(each.baseline_std), f"{each.score:+.2f}", each.baseline_count)
            for each in found
        ]  # fmt: skip
        columns = ["", "~stage", "~metric", ">value", ">usual", ">deviation", ">score", ">runs"]
        terminal.print_table(columns, rows, empty="No metric was compared.")
        print_notes(notes)


@click.command(
    epilog=examples("contexta alert linear-svm 'accuracy<0.9'", "contexta alert --project churn 'evaluate:auc<0.8'")
)
@click.argument("names", metavar="[RUN] RULE...", nargs=-1, required=True)
@PROJECT
@click.option("--severity", type=click.Choice(["info", "warning", "error"]), default="warning")
@click.pass_obj
def alert(terminal: Terminal, names: Sequence[str], project: str | None, severity: str) -> None:
    """Evaluate rules such as 'accuracy<0.9' or 'STAGE:METRIC>=1' on a run, or on all. Exits with 1 when one holds."""
    from contexta_client.query.findings import which_runs

    texts = [each for each in names if _operator_in(each)]
    run_ids = [each for each in names if not _operator_in(each)]
    if not texts:
        raise click.UsageError("There is no rule. Write one like 'accuracy<0.9'.")
    rules = [_rule(text, severity) for text in texts]
    report = findings(terminal).alerts(rules, which_runs(project, run_ids or None))
    exits_with(1 if report.triggered else 0)
    if terminal.as_json:
        terminal.print_json(report.to_dict())
    else:
        rows = [("holds" if each.triggered else "", each.rule.severity, each.message) for each in report.results]
        terminal.print_table(["", "severity", "~rule"], rows, empty="No run matches.")


def _operator_in(text: str) -> str | None:
    return next((sign for sign in _OPERATORS if sign in text), None)


def _rule(text: str, severity: str) -> Any:
    from contexta.interpretation import AlertRule

    sign = _operator_in(text)
    assert sign is not None
    subject, _, threshold = text.partition(sign)
    stage, colon, metric = subject.strip().rpartition(":")
    try:
        value = float(threshold)
    except ValueError:
        raise click.UsageError(f"{text!r}: {threshold!r} is no number. Write a rule like 'accuracy<0.9'.") from None
    return AlertRule(metric, _OPERATORS[sign], value, stage_name=stage if colon else None, severity=severity, name=text)
