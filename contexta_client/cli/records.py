"""`contexta tail` and `contexta export`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import Terminal, examples, plain, printable_json

if TYPE_CHECKING:
    from contexta.interpretation import ObservationRecord

CSV_COLUMNS = (
    "record_id", "run_id", "stage_id", "batch_id", "sample_id", "record_type", "key", "observed_at", "step", "rank",
    "value", "unit", "message",
)  # fmt: skip
RECORD_TYPES = click.Choice(["metric", "event", "span", "degraded"])


_OF_TYPE = click.option("--type", "record_type", type=RECORD_TYPES, help="Only of this kind.")


def _filter_options(command: Any) -> Any:
    for option in (
        click.option("--key", help="Only of this metric, event or span."),
        click.option("--project", "project_name", help="Only of this project."),
        click.option("--run", "run_id", help="Only of this run: its reference or an unambiguous end of it."),
    ):
        command = option(command)
    return command


class FileOnly(click.Path):
    """A file to be written, which `-` is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value) == "-":
            self.fail("it is written as a whole, to a file; `contexta export jsonl -` writes to standard output")
        return super().convert(value, param, ctx)


@click.command(
    epilog=examples(
        "contexta tail --run linear-svm --key loss",
        "contexta tail --type degraded --from-start",
        "contexta --format json tail | jq .value",
    )
)
@_filter_options
@_OF_TYPE
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
@_OF_TYPE
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
            print(printable_json(dumps(record.to_dict())))
        return
    try:
        count = records.export_jsonl(file, wanted, all_attempts=all_attempts)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {os.strerror(error.errno or 0)}", cause=error) from error
    terminal.say({"file": str(file), "records": count}, f"{count:,} records written to {file}")


@export.command("csv", epilog=examples("contexta export csv loss.csv --run linear-svm --key loss"))
@click.argument("file", type=FileOnly(path_type=Path, dir_okay=False))
@_filter_options
@_OF_TYPE
@click.pass_obj
def export_csv(terminal: Terminal, /, file: Path, **wanted: str | None) -> None:
    """Write records as comma-separated values, a line each. FILE is there whole, or not at all."""
    import csv

    from contexta.rendering.plain import csv_cell

    count = 0
    with whole_file(file) as temporary, temporary.open("x", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(CSV_COLUMNS)
        for record in _scan(terminal, wanted):
            writer.writerow([csv_cell(getattr(record, name)) for name in CSV_COLUMNS])
            count += 1
    terminal.say({"file": str(file), "records": count}, f"{count:,} records written to {file}")


@export.command("parquet", epilog=examples("contexta export parquet metrics.parquet --project churn"))
@click.argument("file", type=FileOnly(path_type=Path, dir_okay=False))
@_filter_options
@click.pass_obj
def export_parquet(terminal: Terminal, /, file: Path, **wanted: str | None) -> None:
    """Write metrics as a Parquet file; `wide` has the digits of integers that no double holds. FILE is there whole, or
    not at all."""
    from .parquet import write_metrics

    with whole_file(file) as temporary:
        count = write_metrics(temporary, _scan(terminal, {**wanted, "record_type": "metric"}))
    terminal.say({"file": str(file), "records": count}, f"{count:,} metrics written to {file}")


@export.command("html", epilog=examples("contexta export html linear-svm report.html"))
@click.argument("run_id", metavar="RUN")
@click.argument("file", type=FileOnly(path_type=Path, dir_okay=False))
@click.pass_obj
def export_html(terminal: Terminal, run_id: str, file: Path) -> None:
    """Write the report of a run as one page that opens offline."""
    from .findings import findings

    document = findings(terminal).report("snapshot", run_ids=[run_id])
    with whole_file(file) as temporary:
        temporary.write_text(document.to_html(), encoding="utf-8")
    terminal.say({"file": str(file), "title": document.title}, f"{document.title}: {file}")


def _scan(terminal: Terminal, wanted: Mapping[str, str | None]) -> Iterator[ObservationRecord]:
    from contexta_client.query.records import RecordStore

    return RecordStore(terminal.connection()).scan(wanted)


@contextlib.contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """Give a temporary file to write; it takes the place of `file` when all went well. Raises StorageError."""
    from contexta.errors import StorageError

    temporary = file.with_name(f".{file.name[:200]}.{os.urandom(6).hex()}.tmp")
    try:
        yield temporary
        temporary.replace(file)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {os.strerror(error.errno or 0)}", cause=error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
