"""`contexta report …` and `contexta ui`: reports as files."""

from __future__ import annotations

import html
import re
import sys
import webbrowser
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contexta._private_folders import make_folder

from .findings import findings
from .output import Screen, Terminal, examples, printable_json

if TYPE_CHECKING:
    from contexta.interpretation import ReportDocument, RunRecord

RENDERERS = ("markdown", "json", "html", "csv")

_FILE_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,200}", re.IGNORECASE)


def _render_options(command: Any) -> Any:
    for option in (
        click.option("--render", type=click.Choice(RENDERERS), help="The form (by the file's name, else markdown)."),
        click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file."),
    ):
        command = option(command)
    return command


@click.group()
def report() -> None:
    """Build a report: of a run, of two or more side by side, of a project, of a metric over runs."""


@report.command(epilog=examples("contexta report snapshot linear-svm", "contexta report snapshot v6 --output v6.html"))
@click.argument("run_id", metavar="RUN")
@_render_options
@click.pass_obj
def snapshot(terminal: Terminal, run_id: str, render: str | None, output: Path | None) -> None:
    """All about one run."""
    _write(terminal, findings(terminal).report("snapshot", run_ids=[run_id]), render, output)


@report.command("compare", epilog=examples("contexta report compare v5 v6 --output change.html"))
@click.argument("left")
@click.argument("right")
@_render_options
@click.pass_obj
def compare_report(terminal: Terminal, left: str, right: str, render: str | None, output: Path | None) -> None:
    """Two runs side by side."""
    _write(terminal, findings(terminal).report("comparison", run_ids=[left, right]), render, output)


@report.command(epilog=examples("contexta report multi v1 v2 v3 --render csv"))
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@_render_options
@click.pass_obj
def multi(terminal: Terminal, run_ids: Sequence[str], render: str | None, output: Path | None) -> None:
    """Several runs in one table."""
    _write(terminal, findings(terminal).report("multi_run", run_ids=list(run_ids)), render, output)


@report.command(epilog=examples("contexta report project churn --output churn.html"))
@click.argument("name")
@_render_options
@click.pass_obj
def project(terminal: Terminal, name: str, render: str | None, output: Path | None) -> None:
    """A project: its runs, deployments and trends."""
    _write(terminal, findings(terminal).report("project", project_name=name), render, output)


@report.command("trend", epilog=examples("contexta report trend accuracy --stage evaluate --output accuracy.html"))
@click.argument("metric")
@click.option("--project", "project_name", help="Only runs of this project.")
@click.option("--stage", help="Only in this stage.")
@_render_options
@click.pass_obj
def trend_report(
    terminal: Terminal, metric: str, project_name: str | None, stage: str | None, render: str | None,
    output: Path | None,
) -> None:  # fmt: skip
    """A metric over runs."""
    from contexta_client.query.findings import trend_request, which_runs

    asked = trend_request("metric", metric, which_runs(project_name), stage)
    _write(terminal, findings(terminal).report("trend", trend=asked), render, output)


def _write(terminal: Terminal, document: ReportDocument, render: str | None, output: Path | None) -> None:
    chosen = render or _of_name(output) or ("json" if terminal.as_json and output is None else "markdown")
    text = rendered(document, chosen)
    if output is None:
        text = printable_json(text) if chosen == "json" else text
        Screen().write(text if text.endswith("\n") else f"{text}\n")
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    terminal.say({"file": str(output), "title": document.title, "format": chosen}, f"{document.title}: {output}")


def rendered(document: ReportDocument, name: str) -> str:
    """Return a report as text in one of RENDERERS."""
    make = {
        "markdown": document.to_markdown, "json": document.to_json, "html": document.to_html, "csv": document.to_csv,
    }[name]  # fmt: skip
    return make()


def _of_name(output: Path | None) -> str | None:
    suffix = output.suffix.lower() if output is not None else ""
    return {".md": "markdown", ".json": "json", ".html": "html", ".htm": "html", ".csv": "csv"}.get(suffix)


@click.command(epilog=examples("contexta ui", "contexta ui --no-open --limit 20"))
@click.option("--no-open", is_flag=True, help="Write the pages, but open no browser.")
@click.option("--limit", type=click.IntRange(1), default=50, help="Of the newest runs, this many.")
@click.pass_obj
def ui(terminal: Terminal, no_open: bool, limit: int) -> None:
    """Write a page for each of the newest runs and one that lists them, and open it in the browser.

    The pages are files in the workspace's reports folder; they need no server, and show what was known when written.
    """
    from contexta.interpretation import RunListQuery

    asked = findings(terminal)
    runs = terminal.questions().runs(RunListQuery(sort_by="started_at", sort_desc=True, limit=limit))
    folder = terminal.config.workspace.reports_path / "ui"
    make_folder(folder)
    with click.progressbar(runs, label="pages", file=sys.stderr, hidden=terminal.as_json) as shown:
        for run in shown:
            page = asked.report("snapshot", run_ids=[run.run_id]).to_html()
            (folder / _page_name(run)).write_text(page, encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_index(runs, str(terminal.workspace)), encoding="utf-8")
    terminal.say({"file": str(index), "runs": len(runs)}, f"{len(runs)} runs: {index}")
    if not no_open:
        webbrowser.open(index.absolute().as_uri())


def _page_name(run: RunRecord) -> str:
    """A name that stays in its folder, whatever a restored log calls a run."""
    name = run.run_id.removeprefix("run:")
    if not _FILE_NAME.fullmatch(name):
        name = f"run-{blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
    return f"{name}.html"


def _index(runs: Sequence[RunRecord], workspace: str) -> str:
    rows = "".join(
        f"<tr><td><a href='{html.escape(_page_name(run), quote=True)}'>{html.escape(run.run_id)}</a></td>"
        f"<td>{html.escape(run.status)}</td><td>{html.escape(run.started_at[:19].replace('T', ' '))}</td>"
        f"<td style='text-align:right'>{run.metric_count:,}</td></tr>"
        for run in runs
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Contexta runs</title>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<style>body{font:16px system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}"
        "table{border-collapse:collapse;width:100%}td,th{padding:.4rem .6rem;border-bottom:1px solid #8884;"
        f"text-align:left}}</style></head><body><h1>Runs</h1><p>{html.escape(workspace)}</p><table>"
        f"<tr><th>run</th><th>status</th><th>started</th><th>metrics</th></tr>{rows}</table></body></html>"
    )
