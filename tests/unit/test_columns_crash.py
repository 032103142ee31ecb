"""The process killed, or refused by the disk, at each call by which files of columns come and go."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from column_files import Bench
from logged import FakeLog, columns, key_defined, run_opened, session_opened

from contexta.errors import StorageError
from contexta_daemon.columns import chain_in, files
from contexta_daemon.log import Position

FAN_IN = 3
BATCHES = FAN_IN + 1


@pytest.fixture(autouse=True)
def few_files_are_merged(monkeypatch):
    monkeypatch.setattr("contexta_daemon.columns.merging.FAN_IN", FAN_IN)


class Killed(BaseException):
    """The process is gone at this call."""


class Disk:
    """Stands in for the file calls of the module: dies, or fails, at the n-th that changes anything.

    `torn`: of a file that was not synced yet, half is there after the kill.
    """

    def __init__(self, patch, at, *, error=None, torn=False):
        self.calls, self.at, self.error, self.torn = 0, at, error, torn
        patch.setattr(files, "os", self)
        for name in ("unlink", "rename", "mkdir"):
            real = getattr(Path, name)
            patch.setattr(Path, name, lambda path, *a, real=real, **k: (self.step(path), real(path, *a, **k))[1])

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in ("open", "fsync", "replace"):
            return real

        def call(*args, **kwargs):
            self.step(args[0])
            return real(*args, **kwargs)

        return call

    def step(self, what):
        self.calls += 1
        if self.calls == self.at:
            if self.torn and isinstance(what, Path) and what.name.endswith(".parquet.new"):
                os.truncate(what, what.stat().st_size // 2)
            raise self.error or Killed


def a_log():
    log = FakeLog()
    log.add(1, session_opened(), run_opened(), key_defined(1, "x"))
    for number in range(BATCHES):
        log.add(1, columns=[columns([float(number)], series=(1, 1), step=[number + 1])])
    return log


def everything(bench):
    """A file a batch, and all merges."""
    for batch in list(bench.log.read(bench.columns.position)):
        bench.columns.follow([batch], batch.end)
        bench.columns.flush()
        while bench.columns.merge():
            pass


def begun(root):
    bench = Bench(root, log=a_log())
    bench.catch_up()
    return bench


def reopened(bench):
    """Another process: nothing but the disk remains."""
    bench.columns._folder.close()
    bench.columns = bench.opened()


def calls_of_all(tmp_path, monkeypatch):
    bench = begun(tmp_path / "counted")
    with monkeypatch.context() as patch:
        disk = Disk(patch, at=0)
        everything(bench)
    bench.close()
    return disk.calls


def holds_all(bench):
    assert bench.values() == [float(number) for number in range(BATCHES)]
    assert bench.columns.position == bench.log.committed
    assert not list(bench.folder.glob("*.new")) and not list(bench.folder.glob("old-*"))


def test_killed_at_every_call_each_metric_is_there_exactly_once(tmp_path, monkeypatch):
    calls = calls_of_all(tmp_path, monkeypatch)
    assert calls > 15
    for at in range(1, calls + 1):
        bench = begun(tmp_path / str(at))
        with monkeypatch.context() as patch:
            Disk(patch, at, torn=True)
            with pytest.raises(Killed):
                everything(bench)
        reopened(bench)
        everything(bench)
        holds_all(bench)
        bench.close()


def test_an_error_at_every_call_is_tried_again_and_each_metric_is_there_exactly_once(tmp_path, monkeypatch):
    for at in range(1, calls_of_all(tmp_path, monkeypatch) + 1):
        bench = begun(tmp_path / str(at))
        with monkeypatch.context() as patch:
            Disk(patch, at, error=OSError(errno.ENOSPC, "no space"), torn=True)
            with pytest.raises((OSError, StorageError)):
                everything(bench)
        for _ in range(2):  # the first follow after a failed flush says so, and begins again
            try:
                everything(bench)
                break
            except OSError:
                assert bench.columns._rows == 0
        assert bench.values() == [float(number) for number in range(BATCHES)], at
        bench.close()


def test_killed_while_clearing_up_nothing_is_lost(tmp_path, monkeypatch):
    bench = begun(tmp_path / "one")
    bench.run(flush_each=True)
    whole = tmp_path / "two"
    merged = Bench(whole, log=bench.log)
    merged.catch_up()
    merged.run()
    (large,) = chain_in(merged.folder)
    shutil.copy(merged.folder / large.name, bench.folder / large.name)  # merged, and killed before the small ones went
    bench.columns._folder.unfinished(replace(large, digest="")).write_text("torn")
    for at in range(1, 4):
        bench.columns._folder.close()
        with monkeypatch.context() as patch:
            Disk(patch, at + 1)  # the first call opens the lock's file
            with pytest.raises(Killed):
                bench.opened()
        assert bench.values() == [float(number) for number in range(BATCHES)]
    bench.columns = bench.opened()
    holds_all(bench)
    assert chain_in(bench.folder) == [large] == files.listed(bench.folder)
    bench.close()
    merged.close()


def test_a_missing_file_is_noticed_and_made_again_and_what_stands_behind_is_kept_aside(tmp_path):
    bench = begun(tmp_path)
    bench.run(flush_each=True)
    gone = files.listed(bench.folder)[1]
    (bench.folder / gone.name).unlink()
    bench.log.add(1, columns=[columns([99.0], series=(1, 1))])
    bench.catch_up()
    bench.columns.follow([bench.log.batches[-1]], bench.log.committed)
    with pytest.raises(StorageError, match="missing"):
        bench.columns.flush()
    reopened(bench)
    assert bench.columns.position == gone.start
    assert len(list((bench.folder / "old-1").iterdir())) == BATCHES - 2
    bench.run()
    assert bench.values() == [*(float(number) for number in range(BATCHES)), 99.0]
    bench.close()


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("found_by", ["merging", "a check"])
@pytest.mark.parametrize("rot", [lambda path: path.write_bytes(b"rot"), lambda path: flip(path, 40)])
def test_a_damaged_file_is_put_aside_and_made_again(tmp_path, found_by, rot):
    bench = begun(tmp_path)
    bench.run(flush_each=True)
    damaged = files.listed(bench.folder)[1]
    rot(bench.folder / damaged.name)
    assert files.damaged(bench.folder, files.listed(bench.folder)) == [damaged]
    if found_by == "merging":
        assert bench.columns.merge()
    else:
        assert bench.columns.check() == 1
        with pytest.raises(StorageError, match="damaged"):  # the log is to be read again
            bench.columns.follow([], bench.log.committed)
        assert bench.columns.position == damaged.start
    assert (bench.folder / (damaged.name + ".damaged")).exists()
    reopened(bench)
    bench.run()
    assert bench.values() == [float(number) for number in range(BATCHES)]
    bench.close()


def test_nothing_is_written_where_the_folder_was_replaced_by_another(tmp_path):
    bench = begun(tmp_path)
    bench.columns.follow(bench.log.batches, bench.log.committed)
    bench.folder.rename(tmp_path / "moved")
    bench.folder.mkdir()
    with pytest.raises(StorageError, match="moved away"):
        bench.columns.flush()
    assert not files.listed(bench.folder) and bench.columns.position == Position(0, 0)
    bench.close()
