"""The log on a disk that forgets what was not synced: whatever it may hold afterwards, nothing durable is gone."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest
from forgetful_disk import Crash, Disk, Folder
from forgetful_files import ForgetfulFiles
from log_lives import Lives
from log_writing import Notebook, body_of, make_batch, open_log, session

from contexta_daemon.log import LogIOError

LOG = Path("/ws/records/log")
A, B = session(1), session(2)


@pytest.fixture
def disk() -> Disk:
    """A disk on which somebody made a workspace and synced nothing."""
    disk = Disk()
    disk.change((disk.root, "ws", Folder()))
    return disk


def files_on(disk: Disk, **more: int) -> ForgetfulFiles:
    return ForgetfulFiles(disk, random.Random(0), **more)


def check_after_power_losses(disk: Disk, notebook: Notebook) -> None:
    """Open, compare and write on, on many of the disks that may be left."""
    for seed in range(40):
        left, copy = disk.after_power_loss(random.Random(seed)), Notebook(dict(notebook.acknowledged))
        copy.sent = dict(notebook.sent)
        log = open_log(LOG, files_on(left))
        copy.check(log)
        copy.append(log, [A, B])
        copy.check(log)
        copy.check(open_log(LOG, files_on(left)))


@pytest.mark.parametrize("seed", range(20))
def test_a_log_that_lives_through_anything_keeps_what_it_promised(seed: int) -> None:
    Lives(random.Random(seed)).go(4, states_each=6)


def test_what_was_synced_survives_in_a_workspace_that_nobody_synced(disk: Disk) -> None:
    notebook = Notebook()
    notebook.append(open_log(LOG, files_on(disk)), [A])
    check_after_power_losses(disk, notebook)


@pytest.mark.parametrize("calls_before", range(12))
def test_what_an_opened_log_says_to_have_is_durable_wherever_the_last_process_was_killed(
    disk: Disk, calls_before: int
) -> None:
    """A sender lets go of what the daemon says to have, and a killed daemon may have left it in memory only."""
    notebook = Notebook()
    notebook.append(open_log(LOG, files_on(disk)), [A])
    files = files_on(disk)
    log = open_log(LOG, files)
    files.dies_at = files.calls + calls_before
    try:
        notebook.append(log, [A, B])
        log.close()
    except Crash:
        pass
    known = open_log(LOG, files_on(disk)).sessions
    for key, body in notebook.sent.items():
        if (state := known.get(key[0])) is not None and state.next_sequence > key[1]:
            notebook.acknowledged[key] = body
    check_after_power_losses(disk, notebook)


def test_of_a_write_that_was_never_synced_nothing_counts_behind_what_is_missing(disk: Disk) -> None:
    """Sectors arrive in any order: a later batch of a session must not count when one before it is gone."""
    files, notebook = files_on(disk), Notebook()
    log = open_log(LOG, files, segment_bytes=1 << 20)
    notebook.append(log, [A])
    batches = [make_batch(A, first, size=900) for first in range(3, 18, 3)]
    notebook.sent |= {(A, first): body_of(A, first, 900) for first in range(3, 18, 3)}
    files.dies_at = files.calls + 1  # at the sync
    with pytest.raises(Crash):
        log.append(batches)
    check_after_power_losses(disk, notebook)


def test_a_failed_sync_is_not_forgotten_by_the_memory_of_the_system(disk: Disk) -> None:
    """The pages of a failed sync count as clean: the next sync returns, and only reading the disk tells the truth."""
    files, notebook = files_on(disk), Notebook()
    log = open_log(LOG, files)
    notebook.append(log, [A])
    notebook.sent[A, 3] = body_of(A, 3)

    def refuse(_: object) -> None:
        file = disk.file(LOG / "0000000001.seg")
        disk.fail_sync(file, random.Random(3))
        files.dies_at = files.calls  # before it can cut what it wrote
        raise OSError(5, "the disk is ill")

    files.sync = refuse  # type: ignore[method-assign]
    with pytest.raises(Crash):
        log.append([make_batch(A, 3)])
    again = open_log(LOG, files_on(disk))
    if (state := again.sessions.get(A)) is not None and state.next_sequence > 3:
        notebook.acknowledged[A, 3] = body_of(A, 3)
    check_after_power_losses(disk, notebook)


@pytest.mark.parametrize("breaks", ["the append behind it", "the end of the segment"])
def test_a_sync_that_was_due_and_failed_with_something_else_is_told(disk: Disk, breaks: str) -> None:
    files, notebook = files_on(disk), Notebook()
    at_once = breaks == "the end of the segment"
    log = open_log(LOG, files, segment_bytes=450 if at_once else 1 << 20)
    notebook.append(log, [A])
    log.append([make_batch(A, 3, size=10)], sync=False)
    real, syncs = files.sync, []

    def refuse(fd: int) -> None:
        syncs.append(fd)
        disk.fail_sync(files._open[fd], random.Random(1))
        raise OSError(5, "the disk is ill")

    files.sync = refuse  # type: ignore[method-assign]
    if at_once:
        log.append([make_batch(A, 6, size=900)], sync=False)
    else:
        with pytest.raises(LogIOError):
            log.append([make_batch(A, 6, size=10)])
    assert len(syncs) == 1
    files.sync = real  # type: ignore[method-assign]
    with pytest.raises(LogIOError):
        log.sync()
    log.sync()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EROFS])
def test_a_log_opens_where_nothing_can_be_synced_because_nothing_can_be_written(disk: Disk, number: int) -> None:
    notebook = Notebook()
    notebook.append(open_log(LOG, files_on(disk)), [A, B])
    files = files_on(disk)

    def refuse(_: object) -> None:
        raise OSError(number, "not on this file system")

    files.settle = files.sync_dir = refuse  # type: ignore[method-assign]
    notebook.check(open_log(LOG, files))


@pytest.mark.parametrize("call", ["settle", "sync_dir"])
def test_a_log_does_not_open_when_what_it_has_cannot_be_made_durable(disk: Disk, call: str) -> None:
    Notebook().append(open_log(LOG, files_on(disk)), [A])
    files = files_on(disk)

    def refuse(_: object) -> None:
        raise OSError(errno.EIO, "the disk is ill")

    setattr(files, call, refuse)
    with pytest.raises(LogIOError, match="cannot make durable"):
        open_log(LOG, files)
