"""What every command shares: where the workspace is, how answers are printed, how errors end."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contexta.errors import ContextaError

if TYPE_CHECKING:
    from contexta_client.query.channel import Connection
    from contexta_client.query.questions import Questions


@dataclass(frozen=True, slots=True)
class Terminal:
    """The options before the command."""

    workspace: Path
    as_json: bool

    def connection(self, *, autostart: bool = True) -> Connection:
        """Connect to the workspace's daemon, started if need be. Raises ContextaError."""
        from contexta.config import load_config
        from contexta_client.query.channel import Connection

        config = load_config(workspace=self.workspace)
        return Connection(self.workspace, config.for_services(), autostart=autostart and config.daemon.autostart)

    def questions(self) -> Questions:
        """The questions, over a connection of their own."""
        from contexta_client.query.questions import Questions

        return Questions(self.connection())

    def print_json(self, value: Any) -> None:
        """Print one JSON document."""
        from contexta.contract.json_text import dumps

        print(dumps(value))

    def print_table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
        """Print a table that fits the terminal; `empty` where there are no rows. A column named >x aligns right."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            right = column.startswith(">")
            table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
        for row in rows:
            # Text, not markup: what users captured must not be read as styles.
            table.add_row(*(Text("" if cell is None else str(cell), style=_style(cell)) for cell in row))
        if table.row_count:
            Console(soft_wrap=False).print(table)
        else:
            print(empty)


_STYLES = {"completed": "green", "open": "cyan", "failed": "red", "lost": "red", "cancelled": "yellow"}


def _style(cell: object) -> str:
    return _STYLES.get(cell, "") if isinstance(cell, str) else ""


@contextlib.contextmanager
def handled(*, as_json: bool) -> Iterator[None]:
    """End the process as its exit status promises: 1 for an error that was handled, quietly for Ctrl-C and a closed
    pipe."""
    try:
        yield
    except ContextaError as error:
        print(json.dumps(error.to_dict(), default=str) if as_json else f"contexta: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def short_time(text: str | None) -> str:
    """`2026-01-31T09:00:00.123456Z` -> `2026-01-31 09:00:00`."""
    return text[:19].replace("T", " ") if text else ""


def human_bytes(count: int) -> str:
    """`1536` -> `1.5 KiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("the loop returns")
