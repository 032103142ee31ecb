"""The root of the command line, and how its commands are found."""

from __future__ import annotations

import importlib
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from contexta._version import __version__

from .output import Terminal, examples, handled

# Name -> (module, what it does). The function has the command's name, with _ for -.
COMMANDS = {
    "runs": ("runs", "List runs, the oldest first."),
    "run": ("runs", "Look at one run: show, list, series, compare, diagnose."),
    "compare": ("findings", "Compare two runs."),
    "compare-multi": ("findings", "Compare several runs in one table."),
    "diagnostics": ("findings", "Say what is wrong with a run."),
    "stragglers": ("findings", "Find ranks that are slower than their peers."),
    "lineage": ("findings", "Follow where a thing came from, and what came from it."),
    "search": ("fleet", "Search runs or artifacts for words."),
    "trend": ("fleet", "Show a metric, a duration or a size over runs."),
    "aggregate": ("fleet", "Show a metric over runs in numbers."),
    "anomaly": ("fleet", "Compare a run with those before it."),
    "alert": ("fleet", "Evaluate rules such as 'accuracy<0.9'."),
    "report": ("reports", "Build a report: markdown, html, json, csv."),
    "provenance": ("artifacts", "What a run was made from: audit, diff."),
    "artifact": ("artifacts", "Artifacts: register, verify, export."),
    "sql": ("sql", "Read-only SQL over everything."),
    "tail": ("records", "Follow records live, as they become durable."),
    "export": ("records", "Write records or a report to a file: jsonl, csv, parquet, html."),
    "backup": ("recovery", "Back a workspace up: create."),
    "restore": ("recovery", "Restore a backup: apply."),
    "recover": ("recovery", "Deliver again, or make everything again from the log: replay, rebuild."),
    "daemon": ("daemon", "The background service: start, stop, status, logs, install."),
    "ui": ("reports", "Pages of the newest runs, in the browser."),
}


class Lazy(click.Group):
    """Imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"contexta_client.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        with handled(lambda: ctx.params.get("output_format") == "json"):
            return super().invoke(ctx)


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "contexta runs --project iris-svm --status failed",
        "contexta run show linear-svm",
        "contexta compare linear-svm rbf-svm",
        "contexta report snapshot linear-svm --output linear-svm.html",
        "contexta tail --key loss",
        "contexta daemon status",
    ),
)
@click.version_option(__version__, prog_name="contexta")
@click.option("--workspace", type=click.Path(path_type=Path), help="The workspace's folder (default: .contexta).")
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), help="For people, or for programs.")
@click.pass_context
def root(ctx: click.Context, workspace: Path | None, output_format: str | None) -> None:
    """Look at ML runs that Contexta recorded, and at the service that keeps them.

    Exit status: 0; 1 for an error (as JSON on standard error with --format json); 2 for wrong usage.
    """
    from contexta.config import load_config

    config = load_config(workspace=workspace)
    ctx.params["output_format"] = chosen = output_format or config.surfaces.output_format
    place = os.path.abspath(config.workspace.root_path)  # noqa: PTH100 - links stay
    ctx.obj = Terminal(Path(place), chosen == "json", config)


def main() -> None:
    """Run the command line."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # text that the terminal's encoding lacks is written out
            stream.reconfigure(errors="backslashreplace")
    with handled(lambda: False):  # what is met before a command: its help is printed to a full disk
        root(prog_name="contexta")


def _open_closed_streams() -> None:
    """Give a process that was started with closed streams (`>&-`) others, so that no file of ours takes their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - stays
