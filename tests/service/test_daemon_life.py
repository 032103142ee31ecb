"""How a daemon begins, holds its workspace, and ends."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc
import pytest
from daemon_process import DaemonProcess, daemons, refusal
from waiting import wait_until

from contexta_daemon.log import frame
from contexta_daemon.log.directory import LogDirectory
from contexta_daemon.log.files import RealFiles
from contexta_daemon.log.segment import HEADER_BYTES, Frame

A = b"a" * 16


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with tempfile.TemporaryDirectory(prefix="run-") as folder:  # short: a socket's path has its bound
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        with daemons() as start:
            yield start


def delete(workspace: Path) -> None:
    """Delete a workspace as a user would, again if its daemon put something there meanwhile."""

    def gone() -> bool:
        shutil.rmtree(workspace, ignore_errors=True)
        return not workspace.exists()

    wait_until(gone)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_it_may_open_more_files_than_the_process_that_started_it(start, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        daemon: DaemonProcess = start(tmp_path / "ws").serves()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)[0] > 512


def test_it_serves_and_everything_it_makes_is_its_owners_alone(start, tmp_path: Path) -> None:
    daemon: DaemonProcess = start(tmp_path / "ws").serves()
    with daemon.calls() as calls:
        assert calls.append(A, 0, 1) == 1
        status = calls.status()
        assert status.pid == daemon.process.pid and status.problem == "" and status.log.items == 1
    made = [tmp_path / "ws", *(tmp_path / "ws").rglob("*"), daemon.socket, daemon.socket.parent]
    assert {mode(path) & 0o077 for path in made} == {0}
    assert sorted(path.name for path in (tmp_path / "ws" / "daemon").iterdir()) == [
        "daemon.json",
        "daemon.lock",
        "daemon.log",
        "token",
    ]


def test_a_second_daemon_ends_and_says_who_serves(start, tmp_path: Path) -> None:
    first = start(tmp_path / "ws").serves()
    second = start(tmp_path / "ws")
    assert second.ends() == 3
    assert f"a daemon (pid {first.process.pid}) already serves {tmp_path / 'ws'}" in second.said()
    through_a_link = tmp_path / "link"
    through_a_link.symlink_to(tmp_path / "ws")
    assert start(through_a_link).ends() == 3
    with first.calls() as calls:
        assert calls.append(A, 0, 1) == 1


def test_of_twenty_at_once_one_serves(start, tmp_path: Path) -> None:
    started = [start(tmp_path / "ws") for _ in range(20)]
    wait_until(lambda: sum(daemon.process.poll() is None for daemon in started) == 1)
    (winner,) = [daemon for daemon in started if daemon.process.poll() is None]
    assert {daemon.ends() for daemon in started if daemon is not winner} == {3}
    with winner.serves().calls() as calls:
        assert calls.append(A, 0, 1) == 1
    assert len(list(winner.socket.parent.iterdir())) == 1


def test_told_to_end_it_keeps_all_and_leaves_nothing_that_points_to_it(start, tmp_path: Path) -> None:
    daemon = start(tmp_path / "ws").serves()
    path = daemon.socket
    with daemon.calls() as calls:
        calls.append(A, 0, 3, b"body", cursor=b"here")
    daemon.process.send_signal(signal.SIGINT)  # a Ctrl-C in the terminal is not meant for it
    daemon.process.terminate()
    assert daemon.ends() == 0
    assert not path.exists() and not (tmp_path / "ws" / "daemon" / "daemon.json").exists()
    token = (tmp_path / "ws" / "daemon" / "token").read_text()
    again = start(tmp_path / "ws").serves()
    with again.calls() as calls:
        found = calls.open_session(A)
        assert (found.next_sequence, found.cursor, found.known, found.closed) == (3, b"here", True, False)
        assert list(calls.status().recovery_notes) == []
    assert (tmp_path / "ws" / "daemon" / "token").read_text() == token
    text = (tmp_path / "ws" / "daemon" / "daemon.log").read_text()
    assert "ending: signal SIGTERM" in text and str(path) in text


@pytest.mark.parametrize("durability", ["fsync", "interval"])
def test_told_to_end_it_seals_the_log(start, tmp_path: Path, durability: str) -> None:
    daemon = start(tmp_path / "ws", config={"records": {"durability": durability}}).serves()
    with daemon.calls() as calls:
        calls.append(A, 0, 3, b"body")
    daemon.process.terminate()
    assert daemon.ends() == 0
    log = LogDirectory(tmp_path / "ws" / "records" / "log", RealFiles())
    with log.open(log.numbers()[-1]) as segment:
        frames = list(segment.scan(log.log_id() or b"", start=HEADER_BYTES, end=segment.size()))
    assert isinstance(frames[-1], Frame) and frames[-1].kind == frame.FOOTER


def test_after_a_kill_the_next_one_replaces_it_and_has_everything(start, tmp_path: Path) -> None:
    daemon = start(tmp_path / "ws").serves()
    stale = daemon.socket
    with daemon.calls() as calls:
        for number in range(20):
            calls.append(A, number, 1, b"%d" % number)
    daemon.kill()
    assert stale.exists()
    again = start(tmp_path / "ws").serves()
    assert not stale.exists() and again.socket.parent == stale.parent
    with again.calls() as calls:
        assert calls.open_session(A).next_sequence == 20
        assert calls.append(A, 20, 1) == 21 and calls.settle(A, 21)


def test_what_a_killed_one_left_unfinished_is_removed_whatever_the_settings_are_now(start, tmp_path: Path) -> None:
    killed = start(tmp_path / "ws", config={"artifacts": {"mode": "copy"}, "retention": {"log": "drop"}}).serves()
    with killed.calls() as calls:
        calls.append(A, 0, 1)
    killed.kill()
    objects = tmp_path / "ws" / "artifacts" / "objects" / "sha256"
    objects.mkdir(parents=True, exist_ok=True)
    (segment,) = (tmp_path / "ws" / "records" / "log").glob("*.seg")
    unfinished = [objects / ".incoming-1-2", segment.with_name(segment.name + ".new")]
    for path in unfinished:
        path.write_bytes(b"half of it")
    start(tmp_path / "ws").serves()
    assert segment.exists() and not any(path.exists() for path in unfinished)


def test_a_stale_record_never_costs_another_file_its_life(start, tmp_path: Path) -> None:
    """daemon.json of a copied workspace names the socket of the daemon of the original, which lives."""
    first = start(tmp_path / "ws").serves()
    shutil.copytree(tmp_path / "ws", tmp_path / "copy")
    copy = start(tmp_path / "copy").serves()
    assert first.socket.exists() and copy.socket != first.socket
    copy.kill()
    record = json.loads((tmp_path / "copy" / "daemon" / "daemon.json").read_text())
    victim = tmp_path / "victim.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(victim))
        (tmp_path / "copy" / "daemon" / "daemon.json").write_text(json.dumps({**record, "socket": str(victim)}))
        start(tmp_path / "copy").serves()
        assert victim.exists()


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"workspace": 3, "socket": {}}', "\0\xff"])
def test_a_record_that_is_none_and_a_token_that_is_none_are_replaced(start, tmp_path: Path, record: str) -> None:
    folder = tmp_path / "ws" / "daemon"
    folder.mkdir(parents=True)
    (folder / "daemon.json").write_text(record)
    (folder / "token").write_text("short\n")
    with start(tmp_path / "ws").serves().calls() as calls:
        assert calls.append(A, 0, 1) == 1


@pytest.mark.parametrize("gone", ["deleted", "moved"])
def test_a_workspace_that_is_gone_is_left_alone_and_another_daemon_may_serve_its_path(
    start, tmp_path: Path, gone: str
) -> None:
    old = start(tmp_path / "ws").serves()
    with old.calls() as calls:
        assert calls.append(A, 0, 1, b"old") == 1 and calls.settle(A, 1)
    if gone == "deleted":
        delete(tmp_path / "ws")
    else:
        (tmp_path / "ws").rename(tmp_path / "elsewhere")
    new = start(tmp_path / "ws").serves()
    with new.calls() as calls:
        assert not calls.open_session(A).known
        assert calls.append(A, 0, 1, b"new") == 1 and calls.settle(A, 1)

    def stands() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "ws").rglob("*") if "-" not in path.name}

    wait_until(lambda: " serves " in (tmp_path / "ws" / "daemon" / "daemon.log").read_text())
    before = stands()
    assert old.ends() == 0, old.said()
    assert new.record and new.socket.exists() and stands() == before
    with new.calls() as calls:
        assert calls.append(A, 1, 1, b"more") == 2 and calls.settle(A, 2)
    if gone == "moved":
        with start(tmp_path / "elsewhere").serves().calls() as calls:
            assert calls.open_session(A).next_sequence == 1


def test_nothing_is_acknowledged_once_the_workspace_is_gone(start, tmp_path: Path) -> None:
    daemon = start(tmp_path / "ws").serves()
    with daemon.calls() as calls:
        assert calls.append(A, 0, 1) == 1 and calls.settle(A, 1)
        delete(tmp_path / "ws")
        with pytest.raises(grpc.RpcError):
            calls.append(A, 1, 1)
    assert daemon.ends() == 0, daemon.said()
    assert not (tmp_path / "ws").exists()


def test_a_path_too_long_for_a_socket_is_served_elsewhere(start, tmp_path: Path, monkeypatch) -> None:
    workspace = tmp_path / ("w" * 100) / ("x" * 100)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("r" * 120)))
    daemon = start(workspace, config={"daemon": {"socket_dir": str(workspace / "sockets")}}).serves()
    assert len(os.fsencode(daemon.socket)) < 100
    with daemon.calls() as calls:
        assert calls.append(A, 0, 1) == 1
    daemon.process.terminate()
    daemon.ends()


def test_a_socket_folder_that_is_a_link_is_not_used(start, tmp_path: Path) -> None:
    (tmp_path / "trap").mkdir()
    (Path(os.environ["XDG_RUNTIME_DIR"]) / "contexta").symlink_to(tmp_path / "trap")
    daemon = start(tmp_path / "ws").serves()
    assert list((tmp_path / "trap").iterdir()) == [] and daemon.socket.parent.name != "contexta"
    daemon.process.terminate()
    daemon.ends()


def test_where_it_cannot_work_it_says_why_and_ends(start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    daemon = start(tmp_path / "file")
    assert daemon.ends() == 1 and "cannot be used" in daemon.said()
    (tmp_path / "ws" / "records").mkdir(parents=True)
    (tmp_path / "ws" / "records" / "log").write_text("no folder")
    daemon = start(tmp_path / "ws")
    assert daemon.ends() == 1 and "cannot list" in daemon.said()
    daemon = start(tmp_path / "other", config={"daemon": {"idel_timeout_s": 1}})
    assert daemon.ends() == 1 and "idle_timeout_s" in daemon.said()
    assert not list((tmp_path / "other").rglob("daemon.json"))


def test_one_that_cannot_be_announced_says_why_in_a_line_and_ends(start, tmp_path: Path) -> None:
    (tmp_path / "ws" / "daemon" / "daemon.json" / "in the way").mkdir(parents=True)
    daemon: DaemonProcess = start(tmp_path / "ws")
    assert daemon.ends() == 1
    said = daemon.said()
    assert "daemon.json" in said and "Traceback" not in said
    assert "Traceback" not in (tmp_path / "ws" / "daemon" / "daemon.log").read_text()
    assert not list((tmp_path / "ws" / "daemon").glob(".*"))


def test_a_disk_that_refuses_is_said_in_the_status_and_taken_again(start, tmp_path: Path) -> None:
    daemon = start(tmp_path / "ws").serves()
    with daemon.calls() as calls:
        calls.append(A, 0, 1)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        body = os.urandom(200_000)
        with pytest.raises(grpc.RpcError) as refused:
            calls.append(A, 1, 1, body)
        detail = refusal(refused.value)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert detail.code == "storage_failed" and detail.retryable and detail.retry_after_ms > 0
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        wait_until(lambda: calls.status().problem == "")
        assert calls.append(A, 1, 1, body) == 2
    assert "tried again" in (tmp_path / "ws" / "daemon" / "daemon.log").read_text()


def test_it_ends_when_nobody_needs_it(start, tmp_path: Path) -> None:
    daemon = start(tmp_path / "ws", config={"daemon": {"idle_timeout_s": 1.5}}).serves()
    with daemon.calls() as calls:
        calls.append(A, 0, 1)
        began = time.monotonic()
        while time.monotonic() - began < 2.5:
            calls.open_session(A)  # somebody does
        assert daemon.process.poll() is None
    assert daemon.ends() == 0


def test_it_ends_when_a_client_asks_and_nobody_is_capturing(start, tmp_path: Path) -> None:
    daemon = start(tmp_path / "ws").serves()
    with daemon.calls() as calls:
        calls.report(A, alive=True)
        answer = calls.stop(when_idle=True)
        assert not answer.stopping and "1 workers are capturing" in answer.reason
        calls.report(A, alive=False)
        assert calls.stop(when_idle=True).stopping
    assert daemon.ends() == 0


def test_detached_it_outlives_its_caller_in_a_session_of_its_own(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    command = [sys.executable, "-m", "contexta_daemon", "--workspace", str(workspace)]
    subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL)
    wait_until((workspace / "daemon" / "daemon.json").exists)
    pid = json.loads((workspace / "daemon" / "daemon.json").read_text())["pid"]
    try:
        assert os.getsid(pid) != os.getsid(0) and (workspace / "daemon" / "daemon.lock").read_text() == f"{pid}\n"
        assert subprocess.run(command, timeout=60, capture_output=True).returncode == 3
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 60)


@pytest.mark.parametrize("arguments", [("--config", "{"), ("--config", "[]"), ("--nonsense",)])
def test_wrong_arguments_are_usage_errors(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "contexta_daemon", "--workspace", str(tmp_path / "ws"), *arguments]
    assert subprocess.run(command, timeout=60, capture_output=True).returncode == 2
    assert not (tmp_path / "ws").exists()


def test_a_body_and_a_message_over_the_limit_are_refused(start, tmp_path: Path) -> None:
    with start(tmp_path / "ws").serves().calls() as calls:
        for size, status in (
            (9 << 20, grpc.StatusCode.INVALID_ARGUMENT),
            (17 << 20, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                calls.append(A, 0, 1, bytes(size))
            assert refused.value.code() == status
        assert calls.append(A, 0, 1, bytes(8 << 20)) == 1
