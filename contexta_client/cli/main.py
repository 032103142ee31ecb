"""The root of the command line, and how its commands are found."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from contexta._version import __version__

from .output import Terminal, examples, handled

COMMANDS = {
    "runs": ("runs", "List runs, the oldest first."),
    "run": ("runs", "Look at one run: show, list, series."),
    "tail": ("records", "Follow records live, as they become durable."),
    "export": ("records", "Write records to a file: export jsonl FILE."),
    "daemon": ("daemon", "The background service: start, stop, status, logs, install."),
}


class Lazy(click.Group):
    """Imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"contexta_client.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
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
        "contexta run series linear-svm loss --max-points 200",
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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # text that the terminal's encoding lacks is written out
            stream.reconfigure(errors="backslashreplace")
    with contextlib.suppress(BrokenPipeError):
        root(prog_name="contexta")
