"""The process killed, or refused by the disk, at each call by which a segment lets go of its metrics."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from breakable_files import BreakableFiles, Crash
from lean_rig import LeanBench

from contexta.errors import StorageError
from contexta_daemon.log import LogIOError

HOWS = [errno.EIO, errno.ENOSPC, "short", "crash"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory):
    made = LeanBench(tmp_path_factory.mktemp("lean"), segment_bytes=3_000)
    made.fill(batches=6)
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(bench: LeanBench) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in bench.log.path.glob("*.seg")}


def put_back(bench: LeanBench, whole: dict[Path, bytes]) -> None:
    for path in bench.log.path.iterdir():
        if path.is_file() and path not in whole:
            path.unlink()
    for path, data in whole.items():
        path.write_bytes(data)


@pytest.mark.parametrize("how", HOWS)
def test_whatever_goes_wrong_the_log_reads_as_before(bench: LeanBench, whole: dict[Path, bytes], how: object) -> None:
    put_back(bench, whole)
    before = bench.batches()
    calls = BreakableFiles()
    assert bench.drop(files=calls)
    for index in range(len(calls.calls)):
        put_back(bench, whole)
        files = BreakableFiles(break_at=index, how=how)  # type: ignore[arg-type]
        broke = attempt(bench, files)
        files.release()
        assert bench.batches() == before, (index, calls.calls[index])
        assert broke or how != "crash", calls.calls[index]
        bench.drop()  # the next attempt
        assert bench.batches() == before
        assert list(bench.log.path.glob("*.new")) == []


def attempt(bench: LeanBench, files: BreakableFiles) -> bool:
    """Whether it ended with an error."""
    try:
        bench.drop(files=files)
    except (Crash, OSError, LogIOError):
        return True
    return False


def test_a_workspace_that_is_no_longer_ours_is_not_touched(bench: LeanBench, whole: dict[Path, bytes]) -> None:
    put_back(bench, whole)

    def may_replace() -> None:
        raise StorageError("it was moved away")

    with pytest.raises(StorageError):
        bench.drop(may_replace=may_replace)
    assert {path: path.read_bytes() for path in bench.log.path.glob("*") if path.is_file()} == whole
