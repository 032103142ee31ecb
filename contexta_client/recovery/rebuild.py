"""Making everything that follows the log anew: catalog, columns, capture files."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

from contexta.config import UnifiedConfig
from contexta.errors import DeadlineError, NotFoundError
from contexta_client import launch

from .answers import RebuildResult
from .contents import lean_segments

TIMEOUT_S = 30.0
NAP_S = 0.02


def rebuild_workspace(
    config: UnifiedConfig,
    *,
    stop: Callable[[UnifiedConfig, Path], None] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> RebuildResult:
    """End the daemon, delete what it makes from the log, and start it again; returns when it serves.

    The log, artifacts and what users keep are not touched, nor are columns of which the log dropped the metrics;
    capturing goes on in the spools meanwhile. stop: ends the
    daemon of a workspace if one serves; asks it to by default. Raises NotFoundError, DeadlineError and
    UnavailableError.
    """
    workspace = Path(os.path.abspath(config.workspace.root_path))  # noqa: PTH100 - links stay as given
    launch.check_workspace(workspace)
    if not (_records(config) / "log").is_dir():
        raise NotFoundError(
            f"{workspace} has no log that anything could be rebuilt from; nothing was deleted.",
            code="log_not_found",
            details={"workspace": str(workspace)},
        )
    with contextlib.ExitStack() as kept_away:
        kept_away.enter_context(_daemon_kept_away(config, workspace, stop or stop_daemon, timeout_s))
        for lock in (_records(config) / "columns" / "lock", _metadata(config) / "mirror.lock"):
            kept_away.enter_context(_worker_kept_away(lock, timeout_s))
        removed = tuple(_remove(config, workspace))
    endpoint = launch.ensure_daemon(workspace, config.for_services(), timeout_s=timeout_s)
    return RebuildResult(removed, endpoint.pid)


def stop_daemon(config: UnifiedConfig, workspace: Path) -> None:
    """Ask the daemon of a workspace to end, if one serves. Returns when it was asked."""
    if launch.find_daemon(workspace) is None:
        return
    from contexta.v1 import status_pb2
    from contexta_client.query.channel import Connection

    connection = Connection(workspace, config.for_services(), autostart=False)
    try:
        connection.call("status", "Stop", status_pb2.StopRequest(), deadline_s=10)
    finally:
        connection.close()


@contextlib.contextmanager
def _daemon_kept_away(
    config: UnifiedConfig, workspace: Path, stop: Callable[[UnifiedConfig, Path], None], timeout_s: float
) -> Iterator[None]:
    """Hold the daemon's own lock: the sender of a capturing process would start it again at any moment."""
    deadline = monotonic() + timeout_s
    (workspace / "daemon").mkdir(mode=0o700, exist_ok=True)
    while True:
        stop(config, workspace)
        lock = _take_lock(workspace / "daemon" / "daemon.lock", min(deadline, monotonic() + 5))
        if lock is not None:
            break
        if monotonic() > deadline:
            raise DeadlineError(
                f"The daemon of {workspace} did not end within {timeout_s:g} s; nothing was deleted. "
                f"See {workspace / 'daemon' / 'daemon.log'}.",
                details={"workspace": str(workspace)},
            )
    try:
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _worker_kept_away(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a follower's files, if there are any: a worker outlives its daemon where that was killed. It may
    be about to let the log drop metrics, because the columns have them, or to say how far the lines reach."""
    if not path.parent.is_dir():
        yield
        return
    lock = _take_lock(path, monotonic() + timeout_s)
    if lock is None:
        raise DeadlineError(
            f"The process that holds {path} did not end within {timeout_s:g} s; nothing was deleted.",
            details={"lock": str(path)},
        )
    try:
        yield
    finally:
        os.close(lock)


def _take_lock(path: Path, until_s: float) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if monotonic() > until_s:
                os.close(lock)
                return None
            sleep(NAP_S)


def _records(config: UnifiedConfig) -> Path:
    return Path(os.path.abspath(config.workspace.records_path))  # noqa: PTH100


def _metadata(config: UnifiedConfig) -> Path:
    return Path(os.path.abspath(config.workspace.metadata_path))  # noqa: PTH100


def _remove(config: UnifiedConfig, workspace: Path) -> Iterator[str]:
    """Delete the followers' files; yield what was there."""
    metadata = _metadata(config)
    capture = Path(os.path.abspath(config.workspace.cache_path)) / "capture"  # noqa: PTH100
    found = [
        *sorted(metadata.glob("catalog.sqlite3*")),
        metadata / "mirror.json",
        capture / "record.jsonl",
        capture / "artifact.jsonl",
    ]
    if not lean_segments(_records(config) / "log"):  # else they are all that there is of its metrics
        found.append(_records(config) / "columns")
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
        else:
            continue
        yield str(path.relative_to(workspace)) if workspace in path.parents else str(path)
