"""What every command shares: the options before it, how answers are printed, how errors end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contexta._plain_text import plain as plain
from contexta._plain_text import plain_lines as plain_lines
from contexta.errors import ContextaError

if TYPE_CHECKING:
    from contexta.config import UnifiedConfig
    from contexta_client.query.channel import Connection
    from contexta_client.query.questions import Questions


@dataclass(frozen=True, slots=True)
class Terminal:
    """The options before the command."""

    workspace: Path
    as_json: bool
    config: UnifiedConfig

    def connection(self, *, autostart: bool = True) -> Connection:
        """Connect to the workspace's daemon, started if need be. Raises ContextaError."""
        from contexta_client.query.channel import Connection

        settings = self.config.for_services()
        return Connection(self.workspace, settings, autostart=autostart and self.config.daemon.autostart)

    def check_workspace(self) -> None:
        """Raises NotFoundError where nothing was ever captured: that nothing is found there is no answer."""
        from contexta_client.launch import check_workspace

        check_workspace(self.workspace)

    def questions(self) -> Questions:
        """The questions, over a connection of their own."""
        from contexta_client.query.questions import Questions

        return Questions(self.connection())

    def print_json(self, value: Any) -> None:
        """Print one JSON document, on a line."""
        from contexta.contract.json_text import dumps

        print(printable_json(dumps(value)), flush=True)

    def say(self, value: dict[str, Any], text: str) -> None:
        """Print what a command did: `value` for programs, `text` for people."""
        if self.as_json:
            self.print_json(value)
        else:
            print(plain_lines(text))

    def print_table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
        """Print a table, `empty` where there are no rows. Nothing is ever cut off: where it is not read on a terminal,
        lines are as long as they have to be.

        Columns starting with > align right; those starting with ~ are folded where there is no room for all.
        """
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        # Text, not markup: what users captured must not be read as styles.
        cells = [[Text(shown(cell), style=_style(cell)) for cell in row] for row in rows]
        if not cells:
            print(empty)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        least = longest = -GAP_CELLS
        for place, column in enumerate(columns):
            right, folds, name = column.startswith(">"), column.startswith("~"), Text(shown(column.lstrip(">~")))
            whole = max(each.cell_len for each in (name, *(row[place] for row in cells)))
            needed = min(whole, FOLDED_CELLS) if folds else whole
            table.add_column(
                name, justify="right" if right else "left", overflow="fold", no_wrap=not folds, min_width=needed
            )
            least, longest = least + needed + GAP_CELLS, longest + whole + GAP_CELLS
        for row in cells:
            table.add_row(*row)
        console = Console()
        room = console.width if sys.stdout.isatty() or "COLUMNS" in os.environ else longest
        console.width = max(room, least)
        with console.capture() as capture:  # so that a closed pipe is met by print alone
            console.print(table)
        print("\n".join(line.rstrip() for line in capture.get().splitlines()))


FOLDED_CELLS = 12  # of a column that is folded, at least
GAP_CELLS = 2  # between columns


def printable_json(text: str) -> str:
    """Return JSON as standard output can have it: beyond ASCII it is escaped where the encoding is not of Unicode."""
    if "utf" in (sys.stdout.encoding or "utf-8").lower():
        return text
    return re.sub(r"[^\x00-\x7f]+", lambda found: json.dumps(found[0])[1:-1], text)


class Screen:
    """Standard output for text that is written as it is, such as CSV; on a terminal, which would act on some of it, as
    `plain_lines` has it."""

    def write(self, text: str) -> object:
        return sys.stdout.write(plain_lines(text.replace("\r\n", "\n")) if sys.stdout.isatty() else text)


_STYLES = {
    "completed": "green",
    "alive": "green",
    "open": "cyan",
    "failed": "red",
    "lost": "red",
    "gone": "yellow",
    "cancelled": "yellow",
    "error": "red",
    "warning": "yellow",
    "holds": "red",
    "intact": "green",
    "changed": "yellow",
    "added": "green",
    "removed": "red",
}


def _style(cell: object) -> str:
    return _STYLES.get(cell, "") if isinstance(cell, str) else ""


def shown(value: object) -> str:
    """Return a value as text for people: numbers in groups of three digits, nothing that a terminal acts on."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else plain(str(value))


def number(value: float | int | None) -> str:
    """Return a number in at most six digits; `-` where there is none, NaN as `NaN`."""
    if value is None:
        return "-"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e6):
        return f"{int(value):,}"
    return "NaN" if value != value else f"{value:.6g}"


@contextlib.contextmanager
def handled(as_json: Callable[[], bool]) -> Iterator[None]:
    """End the process as its exit status promises: 1 for an error that was handled or for what `exits_with` was told, 2
    for wrong usage; quietly for Ctrl-C and a reader that has gone away."""
    exits_with(0)
    try:
        yield
        sys.stdout.flush()
    except ContextaError as error:
        _end(error.to_dict(), error.message, as_json=as_json())
    except click.UsageError as error:
        if not as_json():
            raise
        print(json.dumps({"error": "UsageError", "code": "usage", "message": error.format_message()}), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        said = {"error": type(error).__name__, "code": "system_error", "message": str(error)}
        _end({**said, "details": {}, "retryable": False}, str(error), as_json=as_json())
    if _exit_status:
        sys.exit(_exit_status)


_exit_status = 0


def exits_with(status: int) -> None:
    """Say how the process is to end, before the answer is printed: its reader may go away in the middle of it."""
    global _exit_status
    _exit_status = status


def _end(said: dict[str, object], message: str, *, as_json: bool) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    print(json.dumps(said, default=str) if as_json else f"contexta: {plain_lines(message)}", file=sys.stderr)
    sys.exit(1)


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


def human_seconds(seconds: float) -> str:
    """`0.25` -> `0.2 s`, `200` -> `3 min`, `9000` -> `2.5 h`."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def examples(*lines: str) -> str:
    """Return examples as the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
