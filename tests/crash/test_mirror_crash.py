"""The mirror killed between any two steps, and users who do as they like with its files."""

import errno
import fcntl
import json
import os
import sqlite3
import threading

import pytest
from logged import FakeLog, columns, entry, key_defined, run_opened, scope_opened, session_opened

from contexta.errors import StorageError
from contexta.v1 import capture_pb2 as pb
from contexta_daemon.catalog import Catalog
from contexta_daemon.log import Position
from contexta_daemon.mirror import Mirror, files

POINTS = 30


class Killed(BaseException):
    """The process is gone at this call."""


class Disk:
    """Stands in for `os` in the module under test: dies, or fails, at the n-th call that changes anything."""

    CHANGING = ("open", "write", "ftruncate", "replace")

    def __init__(self, at, error=None, torn=False):
        self.calls, self.at, self.error, self.torn = 0, at, error, torn

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in self.CHANGING:
            return real

        def call(*args, **kwargs):
            self.step(lambda: real(args[0], bytes(args[1])[: len(args[1]) // 2]) if name == "write" else None)
            return real(*args, **kwargs)

        return call

    def step(self, half=lambda: None):
        self.calls += 1
        if self.calls == self.at:
            if self.torn:
                half()
            raise self.error or Killed


class Bench:
    def __init__(self, root):
        self.root = root
        self.log = FakeLog()
        self.catalog = Catalog(root / "metadata" / "catalog.sqlite3")
        self.folder = root / "cache" / "capture"
        made = pb.ArtifactRegistered(scope_id=1, ref="artifact:p.r.m-1", artifact_kind="m", path="/x", exists=True)
        self.log.add(1, session_opened(), run_opened(), scope_opened(2, 1, "stage", "stage:p.r.s"), key_defined(1, "x"))
        for start in range(0, POINTS, 10):
            part = columns([float(start + n) for n in range(10)], series=(2, 1))
            self.log.add(1, entry(artifact_registered=made), columns=[part])
        self.catalog.follow(self.log.batches, self.log.committed)

    def mirror(self):
        return Mirror(self.folder, self.root / "metadata" / "mirror.json", self.catalog)

    def follow_to_the_end(self, mirror):
        """One batch a step, so that there are many steps to be killed between."""
        for batch in list(self.log.read(mirror.position)):
            mirror.follow([batch], batch.end)

    def values(self):
        lines = [json.loads(line) for line in (self.folder / "record.jsonl").read_text().splitlines()]
        return [line["payload"]["payload"]["value"] for line in lines]

    def artifacts(self):
        return len((self.folder / "artifact.jsonl").read_text().splitlines())


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.catalog.close()


def changing_calls(tmp_path, monkeypatch):
    root = tmp_path / "counted"
    root.mkdir()
    bench, disk = Bench(root), Disk(at=0)
    mirror = bench.mirror()
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", disk)
        bench.follow_to_the_end(mirror)
    bench.catalog.close()
    return disk.calls


@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_every_call_each_line_stands_there_exactly_once(tmp_path, monkeypatch, torn):
    calls = changing_calls(tmp_path, monkeypatch)
    assert calls > 15
    for at in range(1, calls + 1):
        root = tmp_path / f"{at}"
        root.mkdir()
        bench = Bench(root)
        mirror = bench.mirror()
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", Disk(at, torn=torn))
            with pytest.raises(Killed):
                bench.follow_to_the_end(mirror)
        bench.follow_to_the_end(bench.mirror())  # a new process: nothing but the disk remains
        assert bench.values() == list(range(POINTS)), at
        assert bench.artifacts() == 3
        bench.catalog.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_an_error_at_every_call_is_tried_again_and_each_line_stands_there_exactly_once(tmp_path, monkeypatch, number):
    for at in range(1, changing_calls(tmp_path, monkeypatch) + 1):
        root = tmp_path / f"{at}"
        root.mkdir()
        bench = Bench(root)
        mirror = bench.mirror()
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", Disk(at, error=OSError(number, os.strerror(number)), torn=True))
            with pytest.raises(OSError):
                bench.follow_to_the_end(mirror)
        bench.follow_to_the_end(mirror)
        assert bench.values() == list(range(POINTS)), at
        bench.catalog.close()


def halfway(bench):
    mirror = bench.mirror()
    for batch in bench.log.batches[:2]:
        mirror.follow([batch], batch.end)
    return mirror


def test_after_the_user_deleted_the_files_lines_go_on_from_there(bench):
    mirror = halfway(bench)
    (bench.folder / "record.jsonl").unlink()
    bench.follow_to_the_end(mirror)
    assert bench.values() == list(range(10, POINTS))


def test_after_the_user_emptied_a_file_lines_go_on_from_there(bench):
    mirror = halfway(bench)
    os.truncate(bench.folder / "record.jsonl", 0)
    bench.follow_to_the_end(mirror)
    assert bench.values() == list(range(10, POINTS))


def test_after_the_user_cut_a_line_the_next_ones_are_whole(bench):
    mirror = halfway(bench)
    path = bench.folder / "record.jsonl"
    os.truncate(path, path.stat().st_size - 20)
    bench.follow_to_the_end(mirror)
    lines = path.read_text().splitlines()
    assert len(lines) == POINTS
    assert all(json.loads(line) for number, line in enumerate(lines) if number != 9)


def test_a_deleted_file_and_a_kill_together_double_nothing(bench, monkeypatch):
    for at in range(1, 12):
        mirror = halfway(bench) if at == 1 else bench.mirror()
        (bench.folder / "record.jsonl").unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", Disk(at))
            try:
                bench.follow_to_the_end(mirror)
            except Killed:
                continue
        break
    bench.follow_to_the_end(bench.mirror())
    values = bench.values() if (bench.folder / "record.jsonl").exists() else []
    assert len(values) == len(set(values))


def test_files_without_a_state_are_put_aside_and_made_again(bench):
    bench.follow_to_the_end(halfway(bench))
    (bench.root / "metadata" / "mirror.json").write_text("{")
    bench.follow_to_the_end(bench.mirror())
    assert bench.values() == list(range(POINTS))
    assert (bench.folder / "record.old.jsonl").exists()


def test_another_log_is_followed_from_its_beginning_and_the_lines_stay(bench):
    mirror = bench.mirror()
    assert not mirror.attach(b"one", bench.log.committed)
    bench.follow_to_the_end(mirror)
    again = bench.mirror()
    assert not again.attach(b"one", bench.log.committed)
    assert again.position == bench.log.committed
    assert again.attach(b"two", bench.log.committed)
    bench.follow_to_the_end(again)
    assert bench.values() == [*range(POINTS), *range(POINTS)]


def touched(root):
    """Which file each is, and when it changed; but for the catalog's own."""
    found = (path for path in root.rglob("*") if not path.name.startswith("catalog"))
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_what_makes_no_lines_touches_no_file_and_is_read_again(bench):
    """The last thing a process sends is its end. Whoever deletes the workspace behind it must meet no new file."""
    mirror = bench.mirror()
    bench.follow_to_the_end(mirror)
    state = bench.root / "metadata" / "mirror.json"
    before = touched(bench.root)
    stored = files.load_state(state).position
    batch = bench.log.add(1, entry(session_ended=pb.SessionEnded()))
    bench.catalog.follow([batch], bench.log.committed)
    for _ in range(2):
        mirror.follow(list(bench.log.read(mirror.position)), bench.log.committed)
        assert mirror.position == bench.log.committed
    assert touched(bench.root) == before
    assert files.load_state(state).position == stored
    again = bench.mirror()
    assert again.position == stored
    more = bench.log.add(1, columns=[columns([99.0], series=(2, 1))])
    bench.catalog.follow([more], bench.log.committed)
    bench.follow_to_the_end(again)
    assert bench.values() == [*range(POINTS), 99.0]
    assert files.load_state(state).position == bench.log.committed


def test_a_step_that_another_process_already_made_is_not_made_again(bench):
    ahead, behind = bench.mirror(), bench.mirror()  # the worker of a killed daemon, and the next daemon
    bench.follow_to_the_end(ahead)
    with pytest.raises(StorageError, match="stand at"):
        bench.follow_to_the_end(behind)
    assert behind.position == bench.log.committed
    assert bench.values() == list(range(POINTS))


def test_a_step_beside_another_process_that_is_at_the_same_one_waits_and_then_does_not_make_it(bench, monkeypatch):
    lines = files.LineFiles(bench.folder, bench.root / "metadata" / "mirror.json")
    start, end = Position(0, 0), Position(1, 64)
    there, refused = threading.Event(), []
    real = fcntl.flock

    def flock(descriptor, how):
        if threading.current_thread() is other:
            there.set()
        real(descriptor, how)

    def second():
        try:
            lines.append([("record.jsonl", b"{}\n")], start=start, end=end)
        except StorageError as error:
            refused.append(error)
        there.set()

    def texts():
        yield "record.jsonl", b'{"first": 1}\n'
        other.start()
        assert there.wait(30)
        yield "record.jsonl", b'{"second": 2}\n'

    other = threading.Thread(target=second)
    monkeypatch.setattr(files.fcntl, "flock", flock)
    lines.append(texts(), start=start, end=end)
    other.join()
    assert (bench.folder / "record.jsonl").read_text() == '{"first": 1}\n{"second": 2}\n'
    assert len(refused) == 1


def test_a_deleted_workspace_is_not_made_again(bench, tmp_path):
    import shutil

    mirror = halfway(bench)
    batch = bench.log.batches[2]
    shutil.rmtree(bench.root / "cache")
    (bench.root / "metadata").rename(tmp_path / "elsewhere")
    with pytest.raises((StorageError, OSError, sqlite3.OperationalError)):
        mirror.follow([batch], batch.end)
    assert not (bench.root / "cache").exists()
    assert not (bench.root / "metadata").exists()


def test_a_pipe_in_place_of_the_file_is_an_error_and_not_a_hang(bench):
    bench.folder.mkdir(parents=True)
    os.mkfifo(bench.folder / "record.jsonl")
    with pytest.raises((StorageError, OSError)):
        bench.follow_to_the_end(bench.mirror())
