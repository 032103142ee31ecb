"""`contexta daemon status`: how the daemon is doing, and how far each worker's records have come."""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any

from .output import Terminal, human_bytes, human_seconds, plain

if TYPE_CHECKING:
    from contexta.v1 import status_pb2
    from contexta_client.launch import LocalWorker

REASONS = {
    "spool_full": "their spool was full",
    "disk_full": "no storage had room",
    "too_large": "they were too large",
    "torn": "their process died while writing them",
    "unreadable": "their spool was damaged",
}


def print_status(terminal: Terminal) -> None:
    """Tell what the daemon says, or without one what the spools say. Starts nothing."""
    from contexta_client import launch

    launch.check_workspace(terminal.workspace)
    local = {each.session_id: each for each in launch.local_workers(terminal.workspace)}
    if launch.find_daemon(terminal.workspace) is not None:
        from contexta_client.query.questions import Questions

        reply = Questions(terminal.connection(autostart=False)).status()
        said = {**_daemon(reply), "workers": _workers(reply, local)}
    else:
        known = launch.read_endpoint(terminal.workspace)
        silent = known.pid if known is not None and launch.process_lives(known.pid) else None
        said = {
            "running": False,
            "workspace": str(terminal.workspace),
            "silent_pid": silent,
            "workers": [_local_worker(each) for each in local.values()],
        }
    if terminal.as_json:
        terminal.print_json(said)
        return
    (_print_daemon if said["running"] else _print_no_daemon)(said)
    _print_workers(terminal, said["workers"])


def _daemon(reply: status_pb2.GetStatusResponse) -> dict[str, Any]:
    log = reply.log
    return {
        "running": True,
        "workspace": reply.workspace,
        "pid": reply.pid,
        "version": reply.version,
        "protocol_min": reply.protocol_min,
        "protocol_max": reply.protocol_max,
        "started_at": reply.started_at,
        "uptime_s": reply.uptime_s,
        "log_file": reply.log_file,
        "problem": reply.problem,
        "recovery_notes": list(reply.recovery_notes),
        "log": {
            "segments": log.segments,
            "bytes": log.bytes,
            "items": log.items,
            "last_append_at": log.last_append_at or None,
            "durability": log.durability,
            "damaged_frames": log.damaged_frames,
        },
        "followers": [
            {"name": each.name, "lag_bytes": each.lag_bytes, "problem": each.problem} for each in reply.followers
        ],
        "admission": {
            "admitted_bytes": reply.admitted_bytes,
            "limit_bytes": reply.admission_limit_bytes,
            "rejected_appends": reply.rejected_appends,
        },
        "open_artifacts": reply.open_artifacts,
    }


def _workers(reply: status_pb2.GetStatusResponse, local: Mapping[str, LocalWorker]) -> list[dict[str, Any]]:
    """Every worker with something still to come: those that a sender reports, and sessions that have not ended."""
    listed = [_worker(each, local) for each in reply.sessions if each.HasField("report") or not each.closed]
    known = {each["session_id"] for each in listed}
    return listed + [_local_worker(each) for name, each in local.items() if name not in known]


def _worker(session: Any, local: Mapping[str, LocalWorker]) -> dict[str, Any]:
    report = session.report if session.HasField("report") else None
    session_id = session.session_id.hex()
    here = local.get(session_id)
    return {
        "session_id": session_id,
        "run_id": session.run_id or None,
        "host": session.host or None,
        "pid": session.pid,
        "rank": session.rank if session.HasField("rank") else None,
        "state": "unknown" if report is None else "alive" if report.alive else "gone",
        "captured": report.captured if report else None,
        "durable": report.durable if report else session.durable,
        "dropped": report.dropped if report else None,
        "dropped_by_reason": dict(report.dropped_by_reason) if report else {},
        "lag_s": _lag_s(report),
        "spool_bytes": report.spool_bytes if report else None,
        "spilled_bytes": report.spilled_bytes if report else None,
        "trouble": here.trouble if here else "",
    }


def _local_worker(worker: LocalWorker) -> dict[str, Any]:
    return {
        "session_id": worker.session_id,
        "run_id": None,
        "host": None,
        "pid": worker.pid,
        "rank": None,
        "state": "alive" if worker.alive else "gone",
        "captured": None,
        "durable": worker.durable,
        "dropped": worker.dropped,
        "dropped_by_reason": dict(worker.dropped_by_reason),
        "lag_s": None,
        "spool_bytes": worker.waiting_bytes,
        "spilled_bytes": None,
        "trouble": worker.trouble,
    }


def _lag_s(report: Any) -> float | None:
    if report is None:
        return None
    return max(0.0, (time_ns() - report.oldest_ns) / 1e9) if report.oldest_ns else 0.0


def _print_daemon(said: dict[str, Any]) -> None:
    log, admission = said["log"], said["admission"]
    print(f"daemon     pid {said['pid']}, version {said['version']}, up {human_seconds(said['uptime_s'])}")
    print(f"workspace  {plain(said['workspace'])}")
    print(f"log        {human_bytes(log['bytes'])} in {log['segments']} segments, {log['items']:,} records since it "
          f"started, durability {log['durability']}")  # fmt: skip
    print("followers  " + ", ".join(f"{each['name']} {_behind(each['lag_bytes'])}" for each in said["followers"]))
    if said["open_artifacts"]:
        print(f"artifacts  {said['open_artifacts']:,} to hash")
    if admission["admitted_bytes"] or admission["rejected_appends"]:
        taken, limit = human_bytes(admission["admitted_bytes"]), human_bytes(admission["limit_bytes"])
        print(f"admission  {taken} of {limit} taken, {admission['rejected_appends']:,} batches told to come later")
    if log["damaged_frames"]:
        print(f"damage     {log['damaged_frames']:,} frames of the log are damaged; all others are read")
    for note in said["recovery_notes"]:
        print(f"recovery   {plain(note)}")
    if said["problem"]:
        print(f"PROBLEM    {plain(said['problem'])}")
    print()


def _behind(lag_bytes: int) -> str:
    return f"{human_bytes(lag_bytes)} behind" if lag_bytes else "up to date"


def _print_no_daemon(said: dict[str, Any]) -> None:
    workspace = plain(said["workspace"])
    if said["silent_pid"]:
        print(f"The daemon of {workspace} (pid {said['silent_pid']}) does not answer: it is starting, ending, "
              f"or stopped.")  # fmt: skip
    else:
        print(f"No daemon serves {workspace}; it starts when something is captured or asked.")
    if said["workers"]:
        print("These workers' records wait in their spools:\n")


def _print_workers(terminal: Terminal, workers: list[dict[str, Any]]) -> None:
    """Print the table of workers with the columns that say something, and below it what was dropped and why."""
    columns = {
        "~worker": [_name(each) for each in workers],
        ">pid": [str(each["pid"] or "") for each in workers],
        ">rank": [each["rank"] for each in workers],
        "state": [each["state"] for each in workers],
        ">captured": [each["captured"] for each in workers],
        ">durable": [each["durable"] for each in workers],
        ">dropped": [each["dropped"] for each in workers],
        ">lag": ["" if each["lag_s"] is None else human_seconds(each["lag_s"]) for each in workers],
        ">spool": [_size(each["spool_bytes"]) for each in workers],
    }
    told = {name: cells for name, cells in columns.items() if any(cell not in (None, "") for cell in cells)}
    terminal.print_table(list(told), zip(*told.values(), strict=True), empty="Nobody is capturing.")
    for each in workers:
        for reason, count in each["dropped_by_reason"].items():
            print(f"{_name(each)}: {count:,} records dropped, because {REASONS.get(reason, plain(reason))}")
        if each["spilled_bytes"]:
            print(f"{_name(each)}: {human_bytes(each['spilled_bytes'])} of its spool were moved to disk")
        if each["trouble"]:
            print(f"{_name(each)}: {plain(each['trouble'])}")


def _name(worker: dict[str, Any]) -> str:
    run = (worker["run_id"] or "").removeprefix("run:")
    return plain(run) or str(worker["session_id"])[:12]


def _size(count: int | None) -> str:
    return "" if count is None else human_bytes(count)
