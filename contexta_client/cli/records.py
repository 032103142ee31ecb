"""`contexta tail` and `contexta export`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import Terminal, examples, plain

if TYPE_CHECKING:
    from contexta.interpretation import ObservationRecord

RECORD_TYPES = click.Choice(["metric", "event", "span", "degraded"])


def _filter_options(command: Any) -> Any:
    for option in (
        click.option("--key", help="Only of this metric, event or span."),
        click.option("--type", "record_type", type=RECORD_TYPES, help="Only of this kind."),
        click.option("--project", "project_name", help="Only of this project."),
        click.option("--run", "run_id", help="Only of this run: its reference or an unambiguous end of it."),
    ):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "contexta tail --run linear-svm --key loss",
        "contexta tail --type degraded --from-start",
        "contexta --format json tail | jq .value",
    )
)
@_filter_options
@click.option("--from-start", is_flag=True, help="First everything that is stored.")
@click.pass_obj
def tail(terminal: Terminal, /, from_start: bool, **wanted: str | None) -> None:
    """Follow records live, as they become durable. Ends with Ctrl-C. With --format json, one document a line."""
    from contexta_client.query.records import RecordStore

    for record in RecordStore(terminal.connection()).tail(wanted, from_start=from_start):
        if terminal.as_json:
            terminal.print_json(record.to_dict())
        else:
            print(_line(record), flush=True)
    if not terminal.as_json:
        print("The daemon has ended.", file=sys.stderr)


def _line(record: ObservationRecord) -> str:
    scope = record.sample_id or record.batch_id or record.stage_id or record.deployment_id or record.run_id
    where = scope.partition(":")[2].split(".", 1)[-1]
    rank = f" rank {record.rank}" if record.rank is not None else ""
    step = f" step {record.step}" if record.step is not None else ""
    unit = f" {record.unit}" if record.unit else ""
    said = f"{record.value}{unit}" if record.record_type == "metric" else record.message or record.record_type
    return plain(f"{record.observed_at[11:23]} {where}{rank}{step}  {record.key}  {said}")


@click.group()
def export() -> None:
    """Write what is stored to a file."""


@export.command(
    epilog=examples(
        "contexta export jsonl records.jsonl --run linear-svm",
        "contexta export jsonl - --type event | jq .message",
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_filter_options
@click.option("--all-attempts", is_flag=True, help="Not only the newest attempt of each run.")
@click.pass_obj
def jsonl(terminal: Terminal, /, file: Path, all_attempts: bool, **wanted: str | None) -> None:
    """Write records as JSON lines. FILE is there whole, or not at all; - is standard output."""
    from contexta.contract.json_text import dumps
    from contexta.errors import StorageError
    from contexta_client.query.records import RecordStore

    records = RecordStore(terminal.connection())
    if str(file) == "-":
        for record in records.scan(wanted, all_attempts=all_attempts):
            print(dumps(record.to_dict()))
        return
    try:
        count = records.export_jsonl(file, wanted, all_attempts=all_attempts)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {os.strerror(error.errno or 0)}", cause=error) from error
    terminal.say({"file": str(file), "records": count}, f"{count:,} records written to {file}")
