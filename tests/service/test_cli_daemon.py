"""`contexta daemon …`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from answering import Answering
from answering import answering as answering
from capturing import Capturing
from click.testing import CliRunner, Result
from served import Served

from contexta.v1 import capture_pb2, status_pb2
from contexta_client.cli.main import root
from contexta_client.launch import process_lives

SESSION = bytes(range(16))


def ask(workspace: Path, *words: str) -> Result:
    return CliRunner().invoke(root, ["--workspace", str(workspace), *words], env={"COLUMNS": "80"})


def status_reply(**report: object) -> status_pb2.GetStatusResponse:
    return status_pb2.GetStatusResponse(
        version="9.9", pid=77, workspace="/ws", uptime_s=600, admission_limit_bytes=64 << 20, open_artifacts=2,
        problem="the disk is full", recovery_notes=["a torn tail of 12 bytes was cut"],
        log=status_pb2.LogStatus(segments=3, bytes=5 << 20, items=1234567, durability="fsync", damaged_frames=1),
        followers=[status_pb2.FollowerStatus(name="catalog"), status_pb2.FollowerStatus(name="mirror", lag_bytes=2048)],
        sessions=[
            status_pb2.SessionStatus(
                session_id=SESSION, durable=900, pid=4711, rank=3, run_id="run:iris.linear", host="node-1",
                report=capture_pb2.WorkerReport(session_id=SESSION, **report),
            ),
            status_pb2.SessionStatus(session_id=bytes(16), durable=5, closed=True),
        ],
    )  # fmt: skip


def test_status_tells_for_each_worker_what_came_how_far_and_what_was_dropped_and_why(answering: Answering) -> None:
    answering.answers["GetStatus"] = status_reply(
        pid=4711, alive=True, captured=1000, durable=900, dropped=15, spool_bytes=192 << 10, spilled_bytes=4096,
        oldest_ns=time.time_ns() - 300 * 10**9, dropped_by_reason={"spool_full": 12, "torn": 3},
    )  # fmt: skip
    text = ask(answering.workspace, "daemon", "status").stdout
    lines = text.splitlines()
    for said in (
        "up 10 min", "5.0 MiB in 3 segments, 1,234,567 records", "catalog up to date, mirror 2.0 KiB behind",
        "2 to hash", "1 frames of the log are damaged", "a torn tail of 12 bytes was cut",
        "PROBLEM    the disk is full", "iris.linear: 4.0 KiB of its spool were moved to disk",
        "iris.linear: 12 records dropped, because their spool was full",
        "iris.linear: 3 records dropped, because their process died while writing them",
    ):  # fmt: skip
        assert said in text
    (row,) = [line for line in lines if line.startswith("iris.linear  ")]
    assert re.split("  +", row) == ["iris.linear", "4711", "3", "alive", "1,000", "900", "15", "5 min", "192.0 KiB"]
    assert len(row) <= 80


def test_status_has_one_shape_for_programs_with_a_daemon_and_without(
    answering: Answering, capturing: Capturing
) -> None:
    answering.answers["GetStatus"] = status_reply(pid=4711, captured=1000, dropped_by_reason={"torn": 3})
    running = json.loads(ask(answering.workspace, "--format", "json", "daemon", "status").stdout)
    assert running["running"] is True
    assert running["log"]["bytes"] == 5 << 20
    (worker,) = running["workers"]
    assert (worker["session_id"], worker["rank"], worker["captured"]) == (SESSION.hex(), 3, 1000)
    assert worker["dropped_by_reason"] == {"torn": 3}

    recorder = capturing.recorder()
    recorder.run("waiting").metric("loss", 1.0)
    away = json.loads(ask(capturing.workspace, "--format", "json", "daemon", "status").stdout)
    assert away["running"] is False
    (waiting,) = away["workers"]
    assert set(waiting) == set(worker)
    assert (waiting["pid"], waiting["state"], waiting["durable"]) == (os.getpid(), "alive", 0)
    text = ask(capturing.workspace, "daemon", "status").stdout
    assert "No daemon serves" in text
    assert str(os.getpid()) in text
    assert not capturing.workspace.exists() or "daemon" not in os.listdir(capturing.workspace)


def test_a_daemon_that_does_not_answer_is_not_said_to_be_absent(answering: Answering) -> None:
    answering.stop()
    said = ask(answering.workspace, "daemon", "status").stdout
    assert f"(pid {os.getpid()}) does not answer" in said
    result = ask(answering.workspace, "daemon", "stop")
    assert (result.exit_code, "does not answer" in result.stderr) == (1, True)


def test_a_daemon_with_writers_goes_on_when_it_may_only_stop_idle(answering: Answering) -> None:
    answering.answers["Stop"] = status_pb2.StopResponse(reason="2 workers are capturing")
    result = ask(answering.workspace, "daemon", "stop", "--when-idle")
    assert (result.exit_code, result.stderr) == (1, "contexta: The daemon goes on: 2 workers are capturing.\n")
    assert answering.asked[-1] == status_pb2.StopRequest(when_idle=True)


def test_a_daemon_is_started_told_of_and_stopped(served: Served) -> None:
    assert ask(served.path, "daemon", "start").exit_code == 0
    pid = served.pid("daemon")
    again = json.loads(ask(served.path, "--format", "json", "daemon", "start").stdout)
    assert again["pid"] == pid
    status = json.loads(ask(served.path, "--format", "json", "daemon", "status").stdout)
    assert (status["pid"], status["workers"]) == (pid, [])
    assert ask(served.path, "daemon", "stop").stdout == f"The daemon (pid {pid}) has ended.\n"
    assert not process_lives(pid)
    assert json.loads(ask(served.path, "--format", "json", "daemon", "stop").stdout)["stopped"] is False
    assert "ended" in ask(served.path, "daemon", "logs", "-n", "3").stdout


def test_the_last_lines_of_a_log_are_printed(tmp_path: Path) -> None:
    (tmp_path / "daemon").mkdir()
    (tmp_path / "daemon" / "daemon.log").write_text("".join(f"line {n}\n" for n in range(200)))
    (tmp_path / "daemon" / "sender.log").write_text("of the sender\n")
    assert ask(tmp_path, "daemon", "logs", "-n", "2").stdout == "line 198\nline 199\n"
    assert ask(tmp_path, "daemon", "logs").stdout.count("\n") == 100
    assert ask(tmp_path, "daemon", "logs", "--sender").stdout == "of the sender\n"


def test_a_followed_log_goes_on_in_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "daemon" / "daemon.log"
    path.parent.mkdir()
    path.write_text("first\n")
    words = ["--workspace", str(tmp_path), "daemon", "logs", "-f"]
    follower = subprocess.Popen(
        [sys.executable, "-m", "contexta_client.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "first\n"
    with path.open("a") as file:
        file.write("second\n")
    assert follower.stdout.readline() == "second\n"
    with path.open("a") as file:
        file.write("last of this file\n")
    path.rename(path.with_suffix(".log.1"))
    path.write_text("of the next\n")
    assert follower.stdout.readline() == "last of this file\n"
    assert follower.stdout.readline() == "of the next\n"
    follower.send_signal(signal.SIGINT)
    rest, said = follower.communicate(timeout=20)
    assert (follower.returncode, rest, said) == (130, "", "")


def test_a_user_service_is_shown_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    workspace = tmp_path / 'a "strange" $name 100%'
    unit = ask(workspace, "daemon", "install", "--print").stdout
    assert not (tmp_path / "config").exists()
    escaped = str(workspace).replace('"', '\\"').replace("$", "$$").replace("%", "%%")
    assert f'-m contexta_daemon --workspace "{escaped}" --foreground' in unit
    written = json.loads(ask(workspace, "--format", "json", "daemon", "install").stdout)
    assert Path(written["unit"]).read_text() == unit
    assert Path(written["unit"]).parent == tmp_path / "config" / "systemd" / "user"
    assert written["enable"].startswith("systemctl --user")
    assert not workspace.exists()
    assert ask(tmp_path / "line\nbreak", "daemon", "install", "--print").exit_code == 1
