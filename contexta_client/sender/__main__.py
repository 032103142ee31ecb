"""`python -m contexta_client.sender --workspace PATH`: detaches, elects itself, and delivers until nothing is left."""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import logging.handlers
import os
import sys
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from contexta._file_limit import raise_file_limit
from contexta._log_lines import LINE, PlainFormatter, log_level
from contexta._priority import give_way
from contexta._private_folders import make_folder, refuse_strangers
from contexta_client.capture import spool_place
from contexta_client.capture.sender_start import FAILURE

if TYPE_CHECKING:
    from .service import Service


def main() -> int:
    """Run the sender of a workspace. Exit status 0, also when another one is at work."""
    parser = argparse.ArgumentParser(prog="contexta-sender", description=__doc__)
    parser.add_argument("--workspace", required=True, type=Path)
    parser.add_argument("--foreground", action="store_true", help="stay the caller's child")
    arguments = parser.parse_args()
    os.umask(0o077)  # whatever this process makes is its user's alone
    if not arguments.foreground:
        detach()
    try:
        service = elected(Path(os.path.realpath(arguments.workspace)), foreground=arguments.foreground)
    except OSError as error:
        print(f"{FAILURE}{error}", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"{FAILURE}{type(error).__name__}: {error}", file=sys.stderr)
        raise
    if service is None:
        return 0
    log = logging.getLogger("contexta.sender")
    log.info("sender %d begins for %s", os.getpid(), service.link.workspace)
    try:
        service.run()
    except BaseException:
        log.exception("the sender fails; the next capture starts another")
        raise
    log.info("sender %d ends", os.getpid())
    return 0


def elected(workspace: Path, *, foreground: bool) -> Service | None:
    """Return what delivers, holding the lock as long as this process lives; None when another one does. Raises
    OSError."""
    control = spool_place.make_control_root(workspace)
    lock_path = control / spool_place.LOCK_NAME
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    config = read_config(workspace)
    give_way(int(config.get("daemon", {}).get("nice", 10)), own_session=not foreground)
    raise_file_limit()
    from .forsaken import remove_forsaken
    from .service import Service

    service = Service(workspace, lambda: read_config(workspace), still_ours=lambda: is_same_file(lock, lock_path))
    service.spools.discover(monotonic())
    remove_forsaken(service.spools.roots, time())
    if workspace.is_dir() or service.spools.wanted():  # a deleted workspace is not made again for nothing
        start_log(workspace)
    if not foreground:  # only now: until here the starter is told what goes wrong
        leave_terminal()
    return service


def detach() -> None:
    """Leave the starter's session and process group; the first process ends at once, to be reaped by the starter."""
    if os.fork():
        os._exit(0)
    if os.getsid(0) != os.getpid():
        os.setsid()
    os.chdir("/")


def leave_terminal() -> None:
    """Hold on to nothing that the starter may be waiting for to close."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def is_same_file(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        there = path.stat(follow_symlinks=False)
    except OSError:
        return False
    held = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def read_config(workspace: Path) -> dict[str, Any]:
    """Return the settings that the client left; empty when there are none."""
    try:
        found = json.loads(spool_place.read_settings(workspace))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def start_log(workspace: Path) -> None:
    """Write to <workspace>/daemon/sender.log, 1 MiB and one older file at most; to nowhere where that cannot be."""
    handler: logging.Handler
    try:
        folder = workspace / "daemon"
        refuse_strangers(workspace)
        make_folder(folder)
        handler = logging.handlers.RotatingFileHandler(folder / "sender.log", maxBytes=1 << 20, backupCount=1)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(PlainFormatter(LINE))
    root = logging.getLogger("contexta")
    root.setLevel(log_level())
    root.addHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
