"""Finding daemons and workers from a client: what is really there, without touching it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from spool_writer import LockHolder, SpoolWriter
from workspace_processes import kill_all

from contexta.errors import NotFoundError, UnavailableError, VersionMismatchError
from contexta_client import launch
from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place
from contexta_client.capture.spool import Spool

TRY_LOCK = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(spool_place.BASE_VARIABLE, str(tmp_path / "spools"))
    (tmp_path / "ws").mkdir()
    return tmp_path / "ws"


def record(workspace: Path, **fields: object) -> None:
    folder = workspace / "daemon"
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text("a" * 64)
    told = {
        "pid": os.getpid(), "version": "1.2.3", "protocol_min": 1, "protocol_max": 1, "socket": f"{folder}/none.sock",
        "token_file": str(folder / "token"), "log_file": str(folder / "daemon.log"), "instance": "00000001",
        "workspace": os.path.realpath(workspace), **fields,
    }  # fmt: skip
    (folder / "daemon.json").write_text(json.dumps(told))


def test_a_record_of_a_daemon_is_not_a_daemon(workspace: Path) -> None:
    assert launch.find_daemon(workspace) is None
    record(workspace)  # of a living process that serves nothing: the number was taken over
    assert launch.find_daemon(workspace) is None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    record(workspace, pid=ended.pid)
    assert launch.find_daemon(workspace) is None
    (workspace / "daemon" / "daemon.json").write_text("[]")
    assert launch.find_daemon(workspace) is None


def test_a_workspace_that_was_copied_or_moved_is_served_by_a_daemon_of_its_own(workspace: Path) -> None:
    copied, moved = workspace.with_name("copied"), workspace.with_name("moved")
    try:
        first = launch.ensure_daemon(workspace)
        shutil.copytree(workspace, copied)
        assert launch.read_endpoint(copied) is None and launch.find_daemon(copied) is None
        assert launch.ensure_daemon(copied).pid != first.pid
        assert launch.find_daemon(workspace) == first
        workspace.rename(moved)
        assert launch.ensure_daemon(moved, timeout_s=60).pid != first.pid  # the first one ends: it has lost its folder
    finally:
        for place in (workspace, copied, moved):
            kill_all(place)


@pytest.mark.skipif(sys.platform != "linux", reason="where /proc tells")
def test_a_daemon_that_has_ended_and_was_not_reaped_does_not_live() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert not launch.process_lives(ended.pid)
    ended.wait()
    assert not launch.process_lives(ended.pid) and launch.process_lives(os.getpid())


@pytest.mark.parametrize(("least", "most"), [(5, 6), (0, 0)])
def test_a_daemon_of_another_protocol_is_an_error_that_names_both(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, least: int, most: int
) -> None:
    monkeypatch.setattr(launch, "is_serving", lambda endpoint: True)
    record(workspace, version="9.9", protocol_min=least, protocol_max=most)
    with pytest.raises(VersionMismatchError, match=rf"9\.9.*protocol {least} to {most}.*1 to 1"):
        launch.find_daemon(workspace)
    with pytest.raises(VersionMismatchError):  # it cannot be asked to end, so it stays
        launch.ensure_daemon(workspace, timeout_s=5)


def test_a_daemon_that_cannot_start_says_why(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    with pytest.raises(UnavailableError, match="cannot be used") as caught:
        launch.ensure_daemon(file, timeout_s=20)
    assert caught.value.code == "daemon_unavailable"


def test_workers_are_told_by_their_spools(workspace: Path) -> None:
    root = spool_place.choose_root(workspace, 1)
    holder = LockHolder()
    living, gone = SpoolWriter(root, holder=holder), SpoolWriter(root)
    living.words[fmt.CREATED_BYTES], living.words[fmt.RELEASED_BYTES] = 5_000, 2_000
    living.words[fmt.DURABLE_ITEMS] = 7
    living.words[fmt.DROPPED_METRICS] = living.words[fmt.DROPPED_ENTRIES] = 2
    trouble = "no room on /dätä".encode()
    header = memoryview(living.words).cast("B")
    header[fmt.TROUBLE_OFFSET : fmt.TROUBLE_OFFSET + 4 + len(trouble)] = len(trouble).to_bytes(4, "little") + trouble
    workers = {worker.session_id: worker for worker in launch.local_workers(workspace)}
    assert workers[gone.session_id.hex()].alive is False
    worker = workers[living.session_id.hex()]
    assert (worker.pid, worker.alive, worker.durable, worker.waiting_bytes) == (4242, True, 7, 3_000)
    assert worker.trouble == "no room on /dätä"
    holder.close()


def test_looking_at_the_workers_does_not_free_the_lock_of_this_process(workspace: Path) -> None:
    spool = Spool(spool_place.choose_root(workspace, 1), os.urandom(16), bound_bytes=1 << 20)
    (worker,) = launch.local_workers(workspace)
    assert (worker.pid, worker.alive) == (os.getpid(), True)
    tried = subprocess.run(
        [sys.executable, "-c", TRY_LOCK, str(spool.path / fmt.LOCK_NAME)], capture_output=True, check=False
    )
    assert b"BlockingIOError" in tried.stderr
    spool.end()
    assert launch.local_workers(workspace)[0].alive is False
    spool.release()


def test_a_question_about_a_place_where_nothing_was_captured_makes_no_folder(tmp_path: Path, workspace: Path) -> None:
    with pytest.raises(NotFoundError, match="no Contexta workspace"):
        launch.check_workspace(tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()
    assert launch.ensure_sender(workspace) is False
    SpoolWriter(spool_place.choose_root(workspace, 1))
    launch.check_workspace(workspace)


@pytest.mark.parametrize("command", ["artifact verify", "backup list", "recover replay", "runs"])
def test_nothing_is_not_found_in_a_workspace_that_is_not_there(tmp_path: Path, command: str) -> None:
    place = tmp_path / "mistyped"
    asked = [sys.executable, "-m", "contexta_client.cli", "--workspace", str(place), *command.split()]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "") and "no Contexta workspace at" in done.stderr
    assert not place.exists()
