"""Finding and starting the daemon of a workspace, and seeing what its spools hold.

Imports grpc only inside functions: the training process may import this module without it.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from contexta._private_folders import is_trusted_socket
from contexta._version import PROTOCOL_MAX, PROTOCOL_MIN
from contexta.config.unified import check_folder
from contexta.errors import NotFoundError, UnavailableError, VersionMismatchError
from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place
from contexta_client.capture.sender_start import PYTHON_VARIABLE, SenderStart, sender_environment

START_TIMEOUT_S = 15.0
HEALTH_TIMEOUT_S = 2.0
ANOTHER_START_S = 1.0
ALREADY_RUNNING = 3  # the exit status of a daemon that found another one


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a daemon serves. `instance` differs for every daemon process."""

    socket: str
    token: str
    instance: str
    pid: int
    version: str
    protocol_min: int
    protocol_max: int
    log_file: str


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """One capturing process as its spool's header tells, without a daemon. Counts are records."""

    session_id: str
    pid: int
    alive: bool
    durable: int
    dropped: int
    dropped_by_reason: dict[str, int]
    waiting_bytes: int
    trouble: str


def read_endpoint(workspace: Path) -> Endpoint | None:
    """Return what daemon.json and the token file say, or None when no daemon of this user serves there.

    Whoever may write to the workspace's folder may have put daemon.json there: it is not believed where a token is, and
    a socket that another user can have made is none. In a workspace that was copied or moved it tells of another one's.
    """
    folder = workspace / "daemon"
    try:
        found = json.loads((folder / "daemon.json").read_bytes())
        token = (folder / "token").read_text(encoding="ascii").strip()
        if found["workspace"] != os.path.realpath(workspace) or not is_trusted_socket(str(found["socket"])):
            return None
        return Endpoint(
            socket=str(found["socket"]),
            token=token,
            instance=str(found["instance"]),
            pid=int(found["pid"]),
            version=str(found["version"]),
            protocol_min=int(found["protocol_min"]),
            protocol_max=int(found["protocol_max"]),
            log_file=str(folder / "daemon.log"),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def process_lives(pid: int) -> bool:
    """Whether there is a process of this number that has not ended, reaped by its parent or not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def find_daemon(workspace: Path) -> Endpoint | None:
    """Return the daemon that serves a workspace now, or None. Raises VersionMismatchError for one we cannot talk to."""
    endpoint = read_endpoint(workspace)
    if endpoint is None or not process_lives(endpoint.pid) or not is_serving(endpoint):
        return None
    if not speaks_our_protocol(endpoint):
        raise VersionMismatchError(
            f"The daemon of {workspace} (version {endpoint.version}) speaks protocol {endpoint.protocol_min} to "
            f"{endpoint.protocol_max}, this program {PROTOCOL_MIN} to {PROTOCOL_MAX}. End it with "
            f"`contexta daemon stop` of its own version, or use that version here.",
            details={"version": endpoint.version},
        )
    return endpoint


def speaks_our_protocol(endpoint: Endpoint) -> bool:
    """Whether the daemon's range of protocol versions and ours overlap."""
    return endpoint.protocol_min <= PROTOCOL_MAX and endpoint.protocol_max >= PROTOCOL_MIN


def is_serving(endpoint: Endpoint, timeout_s: float = HEALTH_TIMEOUT_S) -> bool:
    """Ask the daemon's health service."""
    from contexta_client.query import grpc  # first: it is imported quietly

    from grpc_health.v1 import health_pb2, health_pb2_grpc  # isort: skip

    with grpc.insecure_channel(f"unix:{endpoint.socket}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def ensure_daemon(
    workspace: Path, config: Mapping[str, Any] | None = None, *, timeout_s: float = START_TIMEOUT_S
) -> Endpoint:
    """Return the daemon of a workspace, started if there is none.

    config: nested settings as of UnifiedConfig.to_dict(). One of another protocol version is replaced when nobody
    writes to it. Raises VersionMismatchError when somebody does, NotFoundError for a workspace that must not be made,
    and UnavailableError, which says where to look.
    """
    check_may_be_made(workspace, config or {})
    deadline = monotonic() + timeout_s
    try:
        found = find_daemon(workspace)
    except VersionMismatchError:
        if not _end_idle_daemon(workspace, deadline):
            raise
        found = None
    if found is not None:
        return found
    said = b""
    while monotonic() < deadline:
        with start_daemon(workspace, config or {}) as starter:  # ends as soon as the daemon is detached, or cannot be
            _, said = starter.communicate()
        if starter.returncode not in (0, ALREADY_RUNNING):
            break
        # The one that was there first is starting, or it is ending and will never serve: then another is needed.
        until = deadline if starter.returncode == 0 else min(deadline, monotonic() + ANOTHER_START_S)
        nap_s = 0.01
        while monotonic() < until:
            found = find_daemon(workspace)
            if found is not None:
                return found
            sleep(nap_s)
            nap_s = min(nap_s * 1.5, 0.1)
    why = said.decode(errors="replace").strip()
    raise UnavailableError(
        f"The daemon of {workspace} does not serve{': ' + why if why else ''}. "
        f"Its log is {workspace / 'daemon' / 'daemon.log'}; `contexta daemon start --foreground` shows what it says.",
        code="daemon_unavailable",
    )


def check_may_be_made(workspace: Path, config: Mapping[str, Any]) -> None:
    """Raise NotFoundError where a workspace is not there and its settings forbid to make it."""
    settings = config.get("workspace", {})
    check_folder(workspace, create_missing_dirs=bool(settings.get("create_missing_dirs", True)))


def start_daemon(workspace: Path, config: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start a daemon, which leaves this process's session. Returns the process that detaches it and ends at once."""
    python = os.environ.get(PYTHON_VARIABLE) or sys.executable
    arguments = [python, "-P", "-m", "contexta_daemon", "--workspace", str(workspace)]
    if config:
        arguments += ["--config", json.dumps(config)]
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd="/",
        env=sender_environment(),
    )


def _end_idle_daemon(workspace: Path, deadline: float) -> bool:
    """Ask a daemon of another protocol version to end if nobody writes to it; return whether it is gone."""
    import grpc

    from contexta.v1 import status_pb2, status_pb2_grpc

    endpoint = read_endpoint(workspace)
    if endpoint is None:
        return True
    metadata = (("contexta-token", endpoint.token), ("contexta-protocol", str(endpoint.protocol_max)))
    with grpc.insecure_channel(f"unix:{endpoint.socket}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            reply = status_pb2_grpc.StatusStub(channel).Stop(
                status_pb2.StopRequest(when_idle=True), timeout=HEALTH_TIMEOUT_S, metadata=metadata
            )
        except grpc.RpcError:
            return False
    while reply.stopping and process_lives(endpoint.pid) and monotonic() < deadline:
        sleep(0.02)
    return bool(reply.stopping) and not process_lives(endpoint.pid)


_senders: dict[Path, SenderStart] = {}  # to reap what was started


def ensure_sender(workspace: Path) -> bool:
    """Start a sender when spools were left behind and none is at work. Returns whether any spool was found."""
    starter = _senders.get(workspace)
    if starter is not None:
        starter.reap()
    if not local_workers(workspace):
        return False
    if starter is None:
        starter = _senders.setdefault(workspace, SenderStart(workspace, autostart=True))
    starter.ensure(0)
    return True


def check_workspace(workspace: Path) -> None:
    """Raise NotFoundError where nothing was ever captured, so that a question makes no folders."""
    if not (workspace / "daemon").is_dir() and not (workspace / "records").is_dir() and not local_workers(workspace):
        raise NotFoundError(
            f"There is no Contexta workspace at {workspace}. Name it with --workspace (or `workspace=`), or capture "
            f"something first.",
            code="workspace_not_found",
            details={"workspace": str(workspace)},
        )


def local_workers(workspace: Path) -> list[LocalWorker]:
    """Return the capturing processes whose spools are on this machine, as their headers tell."""
    found = []
    for root in spool_place.candidate_roots(workspace):
        try:
            names = sorted(os.listdir(root))
        except OSError:
            continue
        workers = [_local_worker(root / name) for name in names if len(name) == 32]
        found += [worker for worker in workers if worker is not None]
    return found


def _local_worker(folder: Path) -> LocalWorker | None:
    try:
        data = (folder / fmt.HEADER_NAME).read_bytes()
    except OSError:
        return None
    if len(data) < fmt.HEADER_BYTES or not data.startswith(fmt.HEADER_MAGIC):
        return None
    words = memoryview(data)[: fmt.HEADER_BYTES].cast("Q")
    length = int.from_bytes(data[fmt.TROUBLE_OFFSET : fmt.TROUBLE_OFFSET + 4], "little")
    start = fmt.TROUBLE_OFFSET + 4
    pid = fmt.HEADER_PREFIX.unpack_from(data)[4]
    counts = {
        "spool_full": words[fmt.DROPPED_METRICS] + words[fmt.DROPPED_ENTRIES],
        "disk_full": words[fmt.DROPPED_DISK_METRICS] + words[fmt.DROPPED_DISK_ENTRIES],
        "too_large": words[fmt.DROPPED_LARGE_ENTRIES],
    }
    dropped = {reason: count for reason, count in counts.items() if count}
    return LocalWorker(
        session_id=folder.name,
        pid=pid,
        alive=words[fmt.WRITER_STATE] != fmt.ENDED if pid == os.getpid() else is_locked(folder / fmt.LOCK_NAME),
        durable=words[fmt.DURABLE_ITEMS],
        dropped=sum(dropped.values()),
        dropped_by_reason=dropped,
        waiting_bytes=max(0, words[fmt.CREATED_BYTES] - words[fmt.RELEASED_BYTES]),
        trouble=data[start : start + min(length, fmt.TROUBLE_BYTES - 4)].decode("utf-8", "replace"),
    )


def is_locked(path: Path) -> bool:
    """Whether another process holds a spool's lock. Not for this process's own: closing the file would free it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
