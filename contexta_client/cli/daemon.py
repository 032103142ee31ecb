"""`contexta daemon …`: the background service."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections import deque
from pathlib import Path
from time import monotonic, sleep
from typing import TextIO

import click

from contexta.errors import ContextaError, DeadlineError, NotFoundError, UnavailableError, ValidationError

from .output import Terminal, examples, plain_lines

STOP_TIMEOUT_S = 15.0
LOOK_EVERY_S = 0.2
UNIT = """[Unit]
Description=Contexta daemon for {title}

[Service]
Environment=CONTEXTA_DAEMON__IDLE_TIMEOUT_S=0
ExecStart={python} -P -m contexta_daemon --workspace {workspace} --foreground
Restart=on-failure
RestartSec=2

[Install]
WantedBy=default.target
"""


@click.group()
def daemon() -> None:
    """The background service of a workspace. It starts by itself when something is captured or asked."""


@daemon.command()
@click.option("--foreground", is_flag=True, help="Stay, and log to the terminal.")
@click.pass_obj
def start(terminal: Terminal, foreground: bool) -> None:
    """Start the daemon, unless it runs."""
    from contexta_client import launch

    config = terminal.config.for_services()
    launch.check_may_be_made(terminal.workspace, config)
    if foreground:
        import json

        arguments = ["-P", "-m", "contexta_daemon", "--workspace", str(terminal.workspace), "--foreground"]
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *arguments, "--config", json.dumps(config)])
    endpoint = launch.ensure_daemon(terminal.workspace, config)
    terminal.say(
        {"pid": endpoint.pid, "socket": endpoint.socket, "version": endpoint.version},
        f"The daemon (pid {endpoint.pid}) serves {terminal.workspace}.",
    )


@daemon.command()
@click.option("--when-idle", is_flag=True, help="Only when nobody is capturing.")
@click.pass_obj
def stop(terminal: Terminal, when_idle: bool) -> None:
    """End the daemon: what it took is written first. Capturing goes on in the spools; it starts again when needed."""
    from contexta.v1 import status_pb2
    from contexta_client import launch

    endpoint = launch.find_daemon(terminal.workspace)
    if endpoint is None:
        known = launch.read_endpoint(terminal.workspace)
        if known is not None and launch.process_lives(known.pid):
            raise UnavailableError(
                f"The daemon (pid {known.pid}) does not answer: it is starting, ending, or stopped. Try again, or end "
                f"it with `kill {known.pid}`; nothing that was captured is lost.",
                details={"pid": known.pid},
            )
        launch.check_workspace(terminal.workspace)
        terminal.say({"stopped": False, "reason": "no daemon runs"}, f"No daemon serves {terminal.workspace}.")
        return
    connection = terminal.connection(autostart=False)
    reply = connection.call("status", "Stop", status_pb2.StopRequest(when_idle=when_idle), deadline_s=10)
    connection.close()
    if not reply.stopping:
        raise ContextaError(f"The daemon goes on: {reply.reason}.", code="daemon_busy")
    deadline = monotonic() + STOP_TIMEOUT_S
    while launch.process_lives(endpoint.pid):
        if monotonic() > deadline:
            raise DeadlineError(f"The daemon (pid {endpoint.pid}) is still ending; see {endpoint.log_file}.")
        sleep(0.02)
    terminal.say({"stopped": True, "pid": endpoint.pid}, f"The daemon (pid {endpoint.pid}) has ended.")


@daemon.command(epilog=examples("contexta daemon status", "contexta --format json daemon status | jq .workers"))
@click.pass_obj
def status(terminal: Terminal) -> None:
    """Tell how the daemon is doing, and how far each worker's records have come. Starts nothing.

    captured: read from the worker's spool; durable: safe on disk; dropped: not kept; lag: age of the oldest record that
    is on its way; spool: the memory that holds what is on its way.
    """
    from .daemon_status import print_status

    print_status(terminal)


@daemon.command(epilog=examples("contexta daemon logs -f", "contexta daemon logs --sender -n 20"))
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is added.")
@click.option("-n", "--lines", type=click.IntRange(1), default=100, help="How many of the last lines.")
@click.option("--sender", is_flag=True, help="The sender's log instead.")
@click.pass_obj
def logs(terminal: Terminal, follow: bool, lines: int, sender: bool) -> None:
    """Print the end of the daemon's log file."""
    path = terminal.workspace / "daemon" / ("sender.log" if sender else "daemon.log")
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NotFoundError(f"There is no log at {path}: nothing was captured in this workspace yet.") from error
    for line in deque(file, maxlen=lines):
        print(plain_lines(line), end="")
    if follow:
        _follow(path, file)
    file.close()


def _follow(path: Path, file: TextIO) -> None:
    """Print what is added to a log file, also when it is replaced by a new one."""
    while True:
        line = file.readline()
        if line:
            print(plain_lines(line), end="")
            continue
        sys.stdout.flush()
        with contextlib.suppress(OSError):  # between two files there is none
            if path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                rest, file = file, path.open(encoding="utf-8", errors="replace")
                print(plain_lines(rest.read()), end="")
                rest.close()
                continue
        sleep(LOOK_EVERY_S)


@daemon.command(epilog=examples("contexta daemon install --print", "contexta --workspace ~/runs daemon install"))
@click.option("--print", "only_print", is_flag=True, help="Show the unit, write nothing.")
@click.pass_obj
def install(terminal: Terminal, only_print: bool) -> None:
    """Write a systemd user service that keeps the daemon of this workspace running."""
    from contexta_client.capture.spool_place import workspace_hash

    unit = UNIT.format(
        title=_in_unit(str(terminal.workspace)),
        workspace=_quoted(str(terminal.workspace)),
        python=_quoted(sys.executable),
    )
    if only_print:
        print(unit, end="")
        return
    if sys.platform != "linux":
        raise ContextaError("User services are written for systemd, which is Linux's; use --print to see one.")
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"contexta-{workspace_hash(terminal.workspace)}.service"
    path.write_text(unit)
    begin = f"systemctl --user daemon-reload && systemctl --user enable --now {path.name}"
    terminal.say({"unit": str(path), "enable": begin}, f"Written: {path}\nStart it with: {begin}")


def _in_unit(text: str) -> str:
    """Return a text for a line of a unit. Raises ValidationError for what a line cannot hold."""
    if not text.isprintable():
        raise ValidationError(f"A unit cannot name the path {text!r}; move the workspace to one that can be printed.")
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """Return a text as one argument of ExecStart."""
    escaped = _in_unit(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"' if escaped != shlex.quote(escaped) else escaped
