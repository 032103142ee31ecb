"""`contexta compare`, `compare-multi`, `diagnostics`, `lineage`, `stragglers`: what runs were, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

import click

from .output import Terminal, examples, exits_with, number, plain

if TYPE_CHECKING:
    from contexta.interpretation import CompletenessNote, DiagnosticsResult, RunComparison
    from contexta_client.query.findings import Findings

POLICY = click.option(
    "--policy", type=click.Choice(["latest", "max", "min", "mean"]), default="latest", help="Which value counts."
)
LEVELS = ("info", "warning", "error")


def findings(terminal: Terminal) -> Findings:
    """The questions that take thought, over a connection of their own."""
    from contexta_client.query.findings import Findings

    return Findings(terminal.connection())


@click.command(epilog=examples("contexta compare linear-svm rbf-svm", "contexta compare v1 v2 --policy max --changed"))
@click.argument("left")
@click.argument("right")
@POLICY
@click.option("--changed", is_flag=True, help="Only metrics whose value differs.")
@click.pass_obj
def compare(terminal: Terminal, left: str, right: str, policy: str, changed: bool) -> None:
    """Compare two runs: metrics stage by stage, artifacts, and what they were made from. The change is RIGHT - LEFT."""
    found = findings(terminal).compare(left, right, policy=policy)
    if terminal.as_json:
        terminal.print_json(found.to_dict())
    else:
        _print_comparison(terminal, found, changed)


def _print_comparison(terminal: Terminal, found: RunComparison, changed: bool) -> None:
    from contexta.interpretation.comparison import differs, origin_rows

    print(plain(f"{found.left_run_id} -> {found.right_run_id}: {found.summary}"), end="\n\n")
    rows = [
        (stage.stage_name, each.metric_key, number(each.left_value), number(each.right_value), number(each.delta),
         "" if each.change_ratio is None else f"{each.change_ratio:+.1%}")
        for stage in found.stage_comparisons
        for each in stage.metric_deltas
        if not changed or differs(each)
    ]  # fmt: skip
    terminal.print_table(["~stage", "~metric", ">left", ">right", ">change", ">ratio"], rows, empty="No metrics.")
    if found.artifact_changes:
        print()
        changes = [(each.artifact_kind, each.change, each.change_detail) for each in found.artifact_changes]
        terminal.print_table(["~artifact", "change", "~detail"], changes, empty="")
    origins = origin_rows(found.provenance_comparison or {})
    if origins:
        print()
        terminal.print_table(["~made from", "~left", "~right"], origins, empty="")
    print_notes(found.completeness_notes)


@click.command(
    "compare-multi", epilog=examples("contexta compare-multi v1 v2 v3", "contexta compare-multi --metric auc v1 v2")
)
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@click.option("--metric", "metrics", multiple=True, help="Only this metric.")
@click.option("--lower-is-better", multiple=True, metavar="METRIC", help="Less of this metric is better.")
@POLICY
@click.pass_obj
def compare_multi(
    terminal: Terminal, run_ids: Sequence[str], metrics: Sequence[str], lower_is_better: Sequence[str], policy: str
) -> None:
    """Compare several runs in one table; * marks the best of each row."""
    found = findings(terminal).compare_multiple(run_ids, policy=policy, lower_is_better=lower_is_better)
    if terminal.as_json:
        terminal.print_json(found.to_dict())
        return
    rows = [
        (row.stage_name or "", row.metric_key,
         *(number(row.values[run]) + ("*" if run == row.best_run_id else " ") for run in found.run_ids))
        for row in found.metric_table
        if not metrics or row.metric_key in metrics
    ]  # fmt: skip
    terminal.print_table(["~stage", "~metric", *(f">{name}" for name in found.run_names)], rows, empty="No metrics.")
    print(f"\n{plain(found.summary)}")
    print_notes(found.completeness_notes)


@click.command(epilog=examples("contexta diagnostics linear-svm", "contexta diagnostics nightly --fail-on error"))
@click.argument("run_id", metavar="RUN")
@click.option("--fail-on", type=click.Choice(LEVELS), help="Exit with 1 when there is an issue as bad as this.")
@click.pass_obj
def diagnostics(terminal: Terminal, run_id: str, fail_on: str | None) -> None:
    """Say what is wrong with a run: failed and incomplete parts, NaN, lost workers, dropped records, changed files."""
    found = findings(terminal).diagnose(run_id)
    worst = max((LEVELS.index(issue.severity) for issue in found.issues), default=-1)
    exits_with(1 if fail_on and worst >= LEVELS.index(fail_on) else 0)
    if terminal.as_json:
        terminal.print_json(found.to_dict())
    else:
        _print_diagnosis(terminal, found)


def _print_diagnosis(terminal: Terminal, found: DiagnosticsResult) -> None:
    rows = [(each.severity, each.code, each.summary) for each in found.issues]
    terminal.print_table(["severity", "code", "~what"], rows, empty=f"Nothing is wrong with {found.run_id}.")
    print_notes(found.completeness_notes)


@click.command(
    epilog=examples("contexta lineage run:churn.v6", "contexta lineage dataset:sales.2026-01 --direction downstream")
)
@click.argument("ref")
@click.option(
    "--direction", type=click.Choice(["upstream", "downstream"]), help="What it came from, or what came from it."
)
@click.option("--max-depth", type=click.IntRange(0))
@click.pass_obj
def lineage(terminal: Terminal, ref: str, direction: str | None, max_depth: int | None) -> None:
    """Follow where a thing came from and what came from it: runs, datasets, artifacts, deployments."""
    found = findings(terminal).lineage(ref, direction=direction, max_depth=max_depth)
    if terminal.as_json:
        terminal.print_json(found.to_dict())
        return
    rows = [(each.source_ref, each.relation_type, each.target_ref, each.origin_marker) for each in found.edges]
    empty = f"Nothing is related to {found.root_ref}."
    terminal.print_table(["~what", "~relation", "~to what", "origin"], rows, empty=empty)
    print_notes(found.completeness_notes)


@click.command(epilog=examples("contexta stragglers ddp-run", "contexta stragglers ddp-run --metric step_time"))
@click.argument("run_id", metavar="RUN")
@click.option("--metric", help="The metric whose times tell; else the one that most ranks have.")
@click.option("--threshold", type=click.FloatRange(0, min_open=True), help="How late is late, in step times (0.2).")
@click.pass_obj
def stragglers(terminal: Terminal, run_id: str, metric: str | None, threshold: float | None) -> None:
    """Find the ranks that are slower than their peers, in which stage, and from which step on."""
    found = findings(terminal).stragglers(run_id, metric_key=metric, threshold=threshold)
    if terminal.as_json:
        terminal.print_json(found.to_dict())
        return
    rows = [
        (each.rank, each.host, each.stage_name or "", each.since_step, f"{each.late_s:.3g} s",
         f"{each.step_s:.3g} s", f"{each.peer_step_s:.3g} s")
        for each in found.stragglers
    ]  # fmt: skip
    columns = [">rank", "~host", "~stage", ">since step", ">late", ">a step", ">of others"]
    terminal.print_table(columns, rows, empty="No rank is slower than the others.")
    print_notes(found.completeness_notes)


def print_notes(notes: Sequence[CompletenessNote], *, file: TextIO | None = None) -> None:
    """Print what an answer could not take into account, below it, or into a file."""
    for note in notes:
        print(plain(f"{note.severity}: {note.summary}"), file=file)
