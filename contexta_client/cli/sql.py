"""`contexta sql`: read-only SQL over everything."""

from __future__ import annotations

import csv
import sys

import click

from .output import Screen, Terminal, examples


@click.command(
    epilog=examples(
        'contexta sql "select run_id, status from runs order by started_at desc limit 5"',
        "contexta sql \"select metric_key, avg(value) from metrics where run_id = 'run:iris.v1' group by 1\" --csv",
        "contexta sql < question.sql",
    )
)
@click.argument("text", required=False)
@click.option("--max-rows", type=click.IntRange(1), help="More rows than this are an error (1,000,000).")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values, for a spreadsheet.")
@click.pass_obj
def sql(terminal: Terminal, text: str | None, max_rows: int | None, as_csv: bool) -> None:
    """Run one SELECT over the views projects, runs, series, metrics ... (docs/sql.md). Nothing can be changed."""
    from contexta.rendering.plain import csv_cell
    from contexta_client.query.sql import run_sql

    if text is None:
        if sys.stdin.isatty():
            raise click.UsageError('There is no SQL. Try: contexta sql "select * from runs"')
        text = sys.stdin.read()
    found = run_sql(terminal.connection(), text, max_rows=max_rows)
    if terminal.as_json:
        terminal.print_json(list(found))
    elif as_csv:
        writer = csv.writer(Screen(), lineterminator="\n")
        writer.writerow(map(csv_cell, found.columns))
        writer.writerows([csv_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in found.rows)
    else:
        terminal.print_table([f"~{name}" for name in found.columns], found.rows, empty="No rows.")
