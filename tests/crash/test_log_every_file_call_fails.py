"""For every call that the log makes to the disk: it fails, or the process or the power goes there."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest
from breakable_files import BreakableFiles, Crash
from log_writing import Notebook, open_log, session, write_script

from contexta_daemon.log import LogIOError
from contexta_daemon.log.files import RealFiles


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The calls of the unbroken script."""
    files = BreakableFiles()
    write_script(tmp_path_factory.mktemp("whole") / "log", files, Notebook())
    files.release()
    return files.calls


def check_and_go_on(path: Path, notebook: Notebook) -> None:
    """Open once more, compare, append behind it, and compare again after another open."""
    log = open_log(path, RealFiles())
    notebook.check(log)
    notebook.append(log, [session(1), session(4)])
    notebook.check(log)
    log.close()
    notebook.check(open_log(path, RealFiles()))


@pytest.mark.parametrize("how", [errno.EIO, errno.ENOSPC, errno.EMFILE, "short"])
def test_an_error_at_any_call_loses_and_doubles_nothing(tmp_path: Path, calls: list[str], how: int | str) -> None:
    for index in range(len(calls)):
        files = BreakableFiles(break_at=index, how=how)
        notebook = Notebook()
        path = tmp_path / str(index)
        write_script(path, files, notebook, tries=2)
        files.release()
        assert len(notebook.acknowledged) == len(notebook.sent)
        check_and_go_on(path, notebook)


@pytest.mark.parametrize("power_loss", [False, True])
def test_a_crash_at_any_call_keeps_what_was_acknowledged(tmp_path: Path, calls: list[str], power_loss: bool) -> None:
    for index in range(len(calls)):
        files = BreakableFiles(break_at=index, how="crash")
        notebook = Notebook()
        path = tmp_path / str(index)
        with pytest.raises(Crash):
            write_script(path, files, notebook)
        if power_loss:
            files.lose_power(random.Random(index))
        files.release()
        check_and_go_on(path, notebook)


def test_a_crash_at_any_call_of_the_recovery_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    def broken_log(path: Path) -> Notebook:
        """A log whose last segment has a torn tail, and in the middle a damaged frame's worth of another writer."""
        files, notebook = BreakableFiles(), Notebook()
        write_script(path, files, notebook)
        files.release()
        last = max(path.glob("*.seg"))
        last.write_bytes(last.read_bytes() + b"CTXF torn")
        (path / "0000000099.seg").write_bytes(b"\0" * 50)
        return notebook

    files = BreakableFiles()
    broken_log(tmp_path / "whole")
    open_log(tmp_path / "whole", files)
    assert "truncate" in files.calls and "unlink" in files.calls
    for index in range(len(files.calls)):
        path = tmp_path / str(index)
        notebook = broken_log(path)
        crashing = BreakableFiles(break_at=index, how="crash")
        with pytest.raises(Crash):
            open_log(path, crashing)
        crashing.release()
        check_and_go_on(path, notebook)


def test_a_failed_sync_leaves_the_file_for_ever(tmp_path: Path, calls: list[str]) -> None:
    for index in (index for index, name in enumerate(calls) if name == "sync"):
        files, notebook = BreakableFiles(break_at=index, how=errno.EIO), Notebook()
        write_script(tmp_path / str(index), files, notebook, tries=2)  # BreakableFiles refuses a second sync
        files.release()
        assert files.failed_syncs


@pytest.mark.parametrize("ending", ["closed", "synced", "synced after a write that failed"])
def test_what_was_appended_without_a_sync_survives_a_power_loss_once_the_log_is_closed_or_synced(
    tmp_path: Path, ending: str
) -> None:
    for seed in range(6):
        files, notebook = BreakableFiles(), Notebook()
        path = tmp_path / str(seed)
        log = open_log(path, files)
        for number in range(9):  # over the end of a segment
            if number == 4 and ending.endswith("failed"):
                files.break_at, files.how = len(files.calls), errno.EIO
            notebook.append(log, [session(1)], size=900, sync=False, tries=2)
        log.close() if ending == "closed" else log.sync()
        files.lose_power(random.Random(seed))
        assert len(list(path.glob("*.seg"))) > 1
        check_and_go_on(path, notebook)


@pytest.mark.parametrize("asked_by", ["sync", "append"])
def test_a_sync_that_failed_is_not_asked_again_of_what_was_appended_before_without_one(
    tmp_path: Path, asked_by: str
) -> None:
    files, notebook = BreakableFiles(), Notebook()
    log = open_log(tmp_path / "log", files)
    notebook.append(log, [session(1)])
    notebook.append(log, [session(1)], sync=False)
    files.how, files.break_at = errno.EIO, len(files.calls) + (asked_by == "append")  # behind its write
    with pytest.raises(LogIOError):  # BreakableFiles refuses a second sync
        log.sync() if asked_by == "sync" else notebook.append(log, [session(2)])
    assert files.failed_syncs
    notebook.append(log, [session(1)])
    notebook.check(log)


def test_a_sync_says_that_what_a_sealed_segment_holds_could_not_be_synced(tmp_path: Path) -> None:
    files, notebook = BreakableFiles(), Notebook()
    log = open_log(tmp_path / "log", files, segment_bytes=350)
    notebook.append(log, [session(1)])
    files.how, files.break_at = errno.EIO, len(files.calls) + 1  # behind the write: the sync that seals
    notebook.append(log, [session(1)], sync=False)
    assert files.failed_syncs
    with pytest.raises(LogIOError, match="cannot sync"):
        log.sync()
    notebook.append(log, [session(1)])
    notebook.check(log)


def test_every_folder_that_is_made_for_a_log_is_made_durable_in_its_parent(tmp_path: Path) -> None:
    synced: set[Path] = set()

    class Noting(RealFiles):
        def sync_dir(self, path: Path) -> None:
            super().sync_dir(path)
            synced.add(path)

    path = tmp_path.joinpath(*"abcdefgh", "records", "log")
    Notebook().append(open_log(path, Noting()), [session(1)])
    assert synced >= {path, *path.parents} - {*tmp_path.parents}
