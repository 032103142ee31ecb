"""`contexta runs` and `contexta run …`."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from .findings import compare, diagnostics
from .output import Terminal, examples, human_seconds, plain, short_time, shown

if TYPE_CHECKING:
    from contexta.interpretation import EnvironmentRecord, RunRecord, StepSeries

_BARS = "▁▂▃▄▅▆▇█"


def _list_options(command: Any) -> Any:
    for option in (
        click.option("--project", help="Only runs of this project."),
        click.option("--status", type=click.Choice(["open", "completed", "failed", "cancelled"])),
        click.option("--name", "name_contains", help="Only runs whose name contains this text."),
        click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Only runs with this tag."),
        click.option(
            "--sort",
            "sort_by",
            type=click.Choice(["started_at", "ended_at", "name", "status", "project_name"]),
            default="started_at",
        ),
        click.option("--desc", is_flag=True, help="The newest, or last, first."),
        click.option("--limit", type=click.IntRange(0)),
        click.option("--all-attempts", is_flag=True, help="Not only the newest attempt of each run."),
    ):
        command = option(command)
    return command


_LIST_EXAMPLES = examples(
    "contexta runs --project iris-svm --status failed",
    "contexta runs --sort name --limit 20",
    "contexta --format json runs --tag kind=svm",
)


@click.command(epilog=_LIST_EXAMPLES)
@_list_options
@click.pass_obj
def runs(terminal: Terminal, /, **options: Any) -> None:
    """List runs, the oldest first."""
    _list(terminal, **options)


@click.group()
def run() -> None:
    """Look at one run. RUN is its reference or an unambiguous end of it: `linear-svm` for `run:iris-svm.linear-svm`."""


@run.command("list", epilog=_LIST_EXAMPLES)
@_list_options
@click.pass_obj
def list_runs(terminal: Terminal, /, **options: Any) -> None:
    """List runs, the oldest first."""
    _list(terminal, **options)


def _list(
    terminal: Terminal,
    *,
    project: str | None,
    status: str | None,
    name_contains: str | None,
    tags: Sequence[str],
    sort_by: str,
    desc: bool,
    limit: int | None,
    all_attempts: bool,
) -> None:
    from contexta.interpretation import RunListQuery

    query = RunListQuery(
        project_name=project,
        status=status,
        name_contains=name_contains,
        tags=dict(_tag(each) for each in tags),
        sort_by=sort_by,
        sort_desc=desc,
        limit=limit,
        all_attempts=all_attempts,
    )
    found = terminal.questions().runs(query)
    if terminal.as_json:
        terminal.print_json([each.to_dict() for each in found])
        return
    columns: dict[str, list[object]] = {
        "~run": [_label(each) for each in found],
        "status": [each.status for each in found],
        "started": [short_time(each.started_at)[:16] for each in found],
        ">took": [_took(each) for each in found],
        ">metrics": [each.metric_count for each in found],
        ">workers": [each.worker_count for each in found],
        "~note": [_note(each) for each in found],
    }
    if not any(each.worker_count > 1 for each in found):
        del columns[">workers"]
    if not any(columns["~note"]):
        del columns["~note"]
    asked_for_all = limit != 0 and not any((project, status, name_contains, tags))
    terminal.print_table(
        list(columns),
        zip(*columns.values(), strict=True),
        empty="There are no runs yet." if asked_for_all else "No runs match.",
    )


@run.command(epilog=examples("contexta run show linear-svm", "contexta run show linear-svm --attempt 1"))
@click.argument("run_id", metavar="RUN")
@click.option("--attempt", type=click.IntRange(0), default=0, help="Not the newest attempt but this one.")
@click.pass_obj
def show(terminal: Terminal, run_id: str, attempt: int) -> None:
    """Show a run: its stages, workers, artifacts and what it ran in."""
    questions = terminal.questions()
    found = questions.run(run_id, attempt)
    stages = questions.stages(found.run_id, found.attempt)
    workers = questions.workers(found.run_id, found.attempt)
    artifacts = questions.artifacts(found.run_id, attempt=found.attempt)
    environment = questions.environment(found.run_id, found.attempt)
    if terminal.as_json:
        terminal.print_json(
            {
                "run": found.to_dict(),
                "stages": [each.to_dict() for each in stages],
                "artifacts": [each.to_dict() for each in artifacts],
                "workers": [each.to_dict() for each in workers],
                "environment": environment.to_dict() if environment is not None else None,
            }
        )
        return
    _print_facts(found, environment)
    terminal.print_table(
        ["~stage", "status", "started", "ended", *(["~reason"] if any(each.reason for each in stages) else [])],
        [
            (each.name, each.status, short_time(each.started_at), short_time(each.ended_at),
             *([each.reason or ""] if any(each.reason for each in stages) else []))
            for each in stages
        ],
        empty="No stages.",
    )  # fmt: skip
    print()
    terminal.print_table(
        [">rank", "~host", ">pid", "status", ">records", ">dropped"],
        [
            ("" if each.rank is None else each.rank, each.host, str(each.pid), each.status, each.items,
             each.dropped)
            for each in workers
        ],
        empty="No workers.",
    )  # fmt: skip
    if artifacts:
        print()
        terminal.print_table(
            ["~artifact", "~kind", ">bytes", "hash", "~note"],
            [
                (each.artifact_ref.rpartition(".")[2], each.kind, each.size_bytes, (each.hash_value or "")[:19],
                 each.problem or ("hashing" if each.hash_pending else ""))
                for each in artifacts
            ],
            empty="",
        )  # fmt: skip


@run.command(
    epilog=examples(
        "contexta run series linear-svm loss",
        "contexta run series linear-svm train/loss --csv --max-points 1000 > loss.csv",
    )
)
@click.argument("run_id", metavar="RUN")
@click.argument("key")
@click.option("--stage", "stage_name", help="Only of this stage.")
@click.option("--rank", type=click.IntRange(0), help="Only of this worker.")
@click.option("--max-points", type=click.IntRange(1), help="Downsample; minima and maxima are kept.")
@click.option("--csv", "as_csv", is_flag=True, help="Print step,time_ns,rank,value lines.")
@click.pass_obj
def series(
    terminal: Terminal,
    run_id: str,
    key: str,
    stage_name: str | None,
    rank: int | None,
    max_points: int | None,
    as_csv: bool,
) -> None:
    """Print a metric over the steps of a run."""
    points = 60 if max_points is None and not (as_csv or terminal.as_json) else max_points
    questions = terminal.questions()
    found = questions.series(run_id, key, stage_name=stage_name, rank=rank, max_points=points)
    if terminal.as_json:
        terminal.print_json(found.to_dict())
    elif as_csv:
        _print_csv(found)
    else:
        summaries = [] if stage_name else questions.summaries(found.run_id, metric_key=key)
        _print_summary(found, sorted({each.stage_name or "the run itself" for each in summaries}))


def _print_csv(found: StepSeries) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["step", "time_ns", "rank", "value"])
    for place, (point, time_ns, rank) in enumerate(
        zip(found.points, found.times_ns.tolist(), found.ranks.tolist(), strict=True)
    ):
        value = found.wide.get(place, point.value)
        writer.writerow(["" if point.step is None else point.step, time_ns, "" if rank < 0 else rank, value])


def _print_summary(found: StepSeries, stages: Sequence[str]) -> None:
    exact = [point.value for point in found.points]
    finite = [value for value in exact if value - value == 0]
    unit = plain(f" {found.unit}") if found.unit else ""
    print(plain(f"{found.metric_key} of {found.run_id}: {found.total_points:,} points"))
    if finite:
        bars = _bars(found.values.tolist())
        told = {"first": exact[0], "last": exact[-1], "min": min(finite), "max": max(finite)}
        print(bars, ", ".join(f"{name} {_six_digits(value)}{unit}" for name, value in told.items()), sep="\n")
        if "!" in bars:
            print("! marks values that are NaN or infinite, or too large for a double")
    elif exact:
        print("! every value is NaN or infinite")
    if len(stages) > 1:
        print(plain(f"of {' and '.join(stages)}, mixed; --stage shows one of them"))


def _bars(values: Sequence[float]) -> str:
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    part = 1.0 if math.isfinite(high - low) else 0.5  # of each value, so that their distance is finite
    span = (high * part - low * part) or 1.0
    return "".join(
        _BARS[int((value * part - low * part) / span * (len(_BARS) - 1))] if math.isfinite(value) else "!"
        for value in values
    )


def _six_digits(value: float) -> str:
    """Return a number in six digits; an integer may be larger than a double can be."""
    try:
        return f"{value:.6g}"
    except OverflowError:
        return f"{Decimal(value):.6g}"


def _print_facts(found: RunRecord, environment: EnvironmentRecord | None) -> None:
    facts: list[tuple[str, object]] = [
        ("run", found.run_id),
        ("attempt", found.attempt),
        ("status", found.status),
        ("reason", found.reason),
        ("started", short_time(found.started_at)),
        ("ended", short_time(found.ended_at)),
        ("metrics", found.metric_count),
        ("dropped", found.dropped_count or None),
        ("dataset", found.dataset_ref),
        ("revision", found.code_revision),
        ("tags", ", ".join(f"{name}={value}" for name, value in found.tags.items())),
    ]
    if environment is not None:
        facts += [
            ("python", f"{environment.python_version} on {environment.platform}, {environment.host}"),
            ("packages", f"{len(environment.packages)} recorded"),
            ("command", " ".join(environment.command)),
        ]
    for name, value in facts:
        if value not in (None, ""):
            print(f"{name:<10}{shown(value)}")
    print()


def _label(found: RunRecord) -> str:
    ref = found.run_id.removeprefix("run:")
    return f"{ref} #{found.attempt}" if found.attempt > 1 else ref


def _took(found: RunRecord) -> str:
    from contexta.contract.times import parse_ns

    if found.ended_at is None:
        return ""
    return human_seconds((parse_ns(found.ended_at) - parse_ns(found.started_at)) / 1e9)


def _note(found: RunRecord) -> str:
    notes = []
    if found.lost_worker_count:
        notes.append(f"{found.lost_worker_count:,} lost")
    if found.dropped_count:
        notes.append(f"{found.dropped_count:,} dropped")
    return ", ".join(notes)


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--tag")
    return name, value


run.add_command(compare)
run.add_command(diagnostics, "diagnose")
