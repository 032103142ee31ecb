"""`contexta daemon …`: the background service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import click

from contexta.errors import ContextaError, DeadlineError, NotFoundError

from .output import Terminal, human_bytes

if TYPE_CHECKING:
    from contexta.v1 import status_pb2

STOP_TIMEOUT_S = 15.0
UNIT = """[Unit]
Description=Contexta daemon for {workspace}

[Service]
Environment=CONTEXTA_DAEMON__IDLE_TIMEOUT_S=0
ExecStart={python} -P -m contexta_daemon --workspace {workspace} --foreground
Restart=on-failure

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
    from contexta.config import load_config
    from contexta_client import launch

    config = load_config(workspace=terminal.workspace).for_services()
    if foreground:
        import json

        arguments = ["-P", "-m", "contexta_daemon", "--workspace", str(terminal.workspace), "--foreground"]
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *arguments, "--config", json.dumps(config)])
    endpoint = launch.ensure_daemon(terminal.workspace, config)
    if terminal.as_json:
        terminal.print_json({"pid": endpoint.pid, "socket": endpoint.socket, "version": endpoint.version})
    else:
        print(f"The daemon (pid {endpoint.pid}) serves {terminal.workspace}.")


@daemon.command()
@click.option("--when-idle", is_flag=True, help="Only when nobody is capturing.")
@click.pass_obj
def stop(terminal: Terminal, when_idle: bool) -> None:
    """End the daemon: what it took is written first. Capturing goes on in the spools; it starts again when needed."""
    from contexta.v1 import status_pb2
    from contexta_client import launch

    endpoint = launch.find_daemon(terminal.workspace)
    if endpoint is None:
        _say(terminal, {"stopped": False, "reason": "no daemon runs"}, f"No daemon serves {terminal.workspace}.")
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
    _say(terminal, {"stopped": True, "pid": endpoint.pid}, f"The daemon (pid {endpoint.pid}) has ended.")


@daemon.command()
@click.pass_obj
def status(terminal: Terminal) -> None:
    """Tell how the daemon is doing, and how far each worker's records have come. Starts nothing."""
    from contexta_client import launch
    from contexta_client.query.questions import Questions

    launch.check_workspace(terminal.workspace)
    if launch.find_daemon(terminal.workspace) is None:
        _print_without_daemon(terminal)
        return
    reply = Questions(terminal.connection(autostart=False)).status()
    if terminal.as_json:
        from google.protobuf.json_format import MessageToDict

        terminal.print_json({"running": True, **MessageToDict(reply, preserving_proto_field_name=True)})
        return
    _print_status(terminal, reply)


def _print_status(terminal: Terminal, reply: status_pb2.GetStatusResponse) -> None:
    print(f"daemon     pid {reply.pid}, version {reply.version}, up {reply.uptime_s:.0f} s, serves {reply.workspace}")
    log = reply.log
    print(f"log        {log.segments} segments, {human_bytes(log.bytes)}, {log.items} records since it started, "
          f"durability {log.durability}")  # fmt: skip
    lags = ", ".join(f"{each.name} {human_bytes(each.lag_bytes)} behind" for each in reply.followers)
    print(f"followers  {lags}; {reply.open_artifacts} artifacts to hash")
    print(f"admission  {human_bytes(reply.admitted_bytes)} of {human_bytes(reply.admission_limit_bytes)} waiting to be "
          f"durable, {reply.rejected_appends} batches told to come later")  # fmt: skip
    if log.damaged_frames:
        print(f"damage     {log.damaged_frames} frames of the log are damaged")
    for note in reply.recovery_notes:
        print(f"recovery   {note}")
    if reply.problem:
        print(f"PROBLEM    {reply.problem}")
    print()
    live = [each for each in reply.sessions if each.HasField("report") or not each.closed]
    terminal.print_table(
        ["worker", ">pid", ">rank", "state", ">captured", ">durable", ">dropped", ">waiting", ">spilled"],
        [_worker_row(each) for each in live],
        empty="Nobody is capturing.",
    )


def _worker_row(session: Any) -> tuple[object, ...]:
    report = session.report if session.HasField("report") else None
    state = "unknown" if report is None else "alive" if report.alive else "gone"
    name = session.run_id.removeprefix("run:") or session.session_id.hex()[:12]
    rank = session.rank if session.HasField("rank") else ""
    if report is None:
        return name, session.pid, rank, state, "", session.durable, "", "", ""
    waiting = human_bytes(report.spool_bytes)
    return (
        name, session.pid, rank, state, report.captured, report.durable, report.dropped, waiting,
        human_bytes(report.spilled_bytes),
    )  # fmt: skip


def _print_without_daemon(terminal: Terminal) -> None:
    from contexta_client import launch

    workers = launch.local_workers(terminal.workspace)
    if terminal.as_json:
        names = ("session_id", "pid", "alive", "durable", "dropped", "waiting_bytes", "trouble")
        listed = [{name: getattr(each, name) for name in names} for each in workers]
        terminal.print_json({"running": False, "workers": listed})
        return
    print(f"No daemon serves {terminal.workspace}; it starts when something is captured or asked.")
    if workers:
        print("These workers' records wait in their spools:\n")
        terminal.print_table(
            ["session", ">pid", "state", ">durable", ">dropped", ">waiting up to", "trouble"],
            [
                (each.session_id[:12], each.pid, "alive" if each.alive else "gone", each.durable, each.dropped,
                 human_bytes(each.waiting_bytes), each.trouble)
                for each in workers
            ],
            empty="",
        )  # fmt: skip


@daemon.command()
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is added.")
@click.option("-n", "--lines", type=click.IntRange(1), default=100)
@click.option("--sender", is_flag=True, help="The sender's log instead.")
@click.pass_obj
def logs(terminal: Terminal, follow: bool, lines: int, sender: bool) -> None:
    """Print the end of the daemon's log file."""
    path = terminal.workspace / "daemon" / ("sender.log" if sender else "daemon.log")
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NotFoundError(f"There is no log at {path}: nothing was captured in this workspace yet.") from error
    with file:
        for line in file.readlines()[-lines:]:
            print(line, end="")
        while follow:
            line = file.readline()
            if line:
                print(line, end="", flush=True)
            else:
                sleep(0.2)


@daemon.command()
@click.option("--print", "only_print", is_flag=True, help="Show the unit, write nothing.")
@click.pass_obj
def install(terminal: Terminal, only_print: bool) -> None:
    """Write a systemd user service that keeps the daemon of this workspace running."""
    from contexta_client.capture.spool_place import workspace_hash

    unit = UNIT.format(workspace=terminal.workspace, python=sys.executable)
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
    _say(terminal, {"unit": str(path), "enable": begin}, f"Written: {path}\nStart it with: {begin}")


def _say(terminal: Terminal, value: dict[str, Any], text: str) -> None:
    if terminal.as_json:
        terminal.print_json(value)
    else:
        print(text)
