"""Processes that die, stop or are missing, a workspace that is gone: nothing that returned is lost, and it is said."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from served import Served
from waiting import wait_until
from workspace_processes import spools_of

from contexta.config import load_config
from contexta_client.capture import sender_start
from contexta_client.capture.session import Recorder

COUNTING = """
    import time
    run = ctx.run("counting")
    stage = run.stage("train")
    print("ready", flush=True)
    step = 0
    while True:
        stage.metric("n", float(step), step=step)
        step += 1
        if step % 1000 == 0:
            print(step, flush=True)
            time.sleep(PACE_S)
"""
PACED = COUNTING.replace("PACE_S", "0.01")  # a spool that nobody takes from for seconds stays within its bound
COUNTING = COUNTING.replace("PACE_S", "0")


def returned(process: subprocess.Popen[str], at_least: int) -> int:
    """Read what a counting process says until it has returned so many calls."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().isdigit() and int(line) >= at_least:
            return int(line)
    raise AssertionError("the process ended early")


def counted(served: Served) -> list[float]:
    served.drained()
    return served.contexta().get_step_series("counting", "n").values.tolist()


def test_a_killed_trainer_loses_nothing_that_returned_and_shows_as_lost(served: Served) -> None:
    process = served.start(COUNTING)
    sure = returned(process, 20_000)
    process.kill()
    process.wait()
    values = counted(served)
    assert len(values) >= sure
    assert values == [float(step) for step in range(len(values))]
    (run,) = served.contexta().list_runs()
    assert (run.status, run.lost_worker_count) == ("failed", 1)
    (degraded,) = served.contexta().record_store.scan(record_type="degraded")
    assert degraded.key == "worker-lost"


@pytest.mark.parametrize("role", ["sender", "daemon"])
def test_a_killed_service_is_replaced_and_nothing_is_lost_or_doubled(served: Served, role: str) -> None:
    process = served.start(COUNTING)
    returned(process, 5_000)
    wait_until(lambda: served.pids(role))
    for pid in served.pids(role):
        os.kill(pid, signal.SIGKILL)
    sure = returned(process, 50_000)
    process.kill()
    process.wait()
    served.contexta().list_projects()  # finds what was left and has it delivered
    values = counted(served)
    assert len(values) >= sure
    assert values == [float(step) for step in range(len(values))]


def test_a_stopped_daemon_holds_nobody_up(served: Served) -> None:
    ctx = served.contexta()
    with ctx.run("first") as run:
        run.metric("x", 1.0)
    pid = served.pid("daemon")
    os.kill(pid, signal.SIGSTOP)
    try:
        printed = served.run(
            """
            run = ctx.run("second")
            for step in range(20_000):
                run.metric("x", 1.0, step=step)
            ctx.recorder.end("completed", "", wait_s=0.2)
            print("went on")
            """
        )
        assert printed == "went on\n"
    finally:
        os.kill(pid, signal.SIGCONT)
    served.drained()
    assert len(ctx.get_step_series("second", "x")) == 20_000


def test_without_a_daemon_records_wait_are_moved_to_disk_and_come_back(served: Served) -> None:
    capture = {"spool_bytes": 2 << 20, "spill_bytes": 64 << 20, "exit_timeout_s": 0.1}
    config = load_config(
        workspace=served.path,
        patch={"project_name": "demo", "capture": capture, "daemon": {"autostart": False}},
    )
    recorder = Recorder(config)
    run = recorder.run("waiting")
    run.metric("n", 0.0, step=0)
    sender = subprocess.Popen(
        [sys.executable, "-m", "contexta_client.sender", "--workspace", str(served.path), "--foreground"],
        env=sender_start.sender_environment(),
    )
    try:
        kept = 1
        spill = served.path / "cache" / "spill"

        def spilled() -> bool:
            nonlocal kept
            for _ in range(2_000):
                kept += run.metric("n", float(kept), step=kept).ok
            return any(spill.glob("*/rows-*"))

        wait_until(spilled)
        assert "autostart" in recorder._stream.spool.trouble()
        run.close()
        recorder.close()
        ctx = served.contexta()  # its question starts the daemon
        ctx.list_projects()
        served.drained()
        assert ctx.get_step_series("waiting", "n").values.tolist() == [float(step) for step in range(kept)]
        assert not any(spill.glob("*/*"))
    finally:
        sender.terminate()
        sender.wait(20)


def test_what_is_dropped_at_the_bound_is_counted_to_the_record(served: Served) -> None:
    config = load_config(
        workspace=served.path,
        patch={
            "project_name": "demo",
            "capture": {"spool_bytes": 1 << 20, "exit_timeout_s": 0.1},
            "daemon": {"autostart": False},
        },
    )
    recorder = Recorder(config)
    run = recorder.run("full")
    results = [run.metric("n", float(step), step=step).ok for step in range(60_000)]
    run.close()
    recorder.close()
    stored = sum(results)
    assert 0 < stored < 60_000
    ctx = served.contexta()
    ctx.list_projects()
    served.drained()
    (found,) = ctx.list_runs()
    assert (found.metric_count, found.dropped_count) == (stored, 60_000 - stored)
    assert found.status == "completed"  # the closing found room in the reserve
    assert ctx.get_step_series("full", "n").steps.tolist() == [step for step, ok in enumerate(results) if ok]
    (degraded,) = ctx.record_store.scan(record_type="degraded")
    assert degraded.payload["attributes"]["metrics_total"] == 60_000 - stored


def test_a_deleted_workspace_is_begun_anew_and_its_old_daemon_touches_nothing(served: Served) -> None:
    process = served.start(PACED)
    returned(process, 2_000)
    wait_until(lambda: (served.path / "daemon" / "daemon.json").exists())
    old = served.pid("daemon")
    shutil.rmtree(served.path)
    returned(process, 4_000)
    wait_until(lambda: served.pids("daemon") not in ([], [old]))
    wait_until(lambda: old not in served.pids("daemon"))
    wait_until(lambda: (served.path / "daemon" / "daemon.json").exists())
    process.kill()
    process.wait()
    values = counted(served)
    assert values == [float(step) for step in range(int(values[0]), int(values[0]) + len(values))]
    assert [run.name for run in served.contexta().list_runs()] == ["counting"]


def test_of_many_senders_one_lives(served: Served) -> None:
    ctx = served.contexta()
    with ctx.run("one") as run:
        run.metric("x", 1.0)
        ctx.flush()  # the run's own sender holds the lock, so that each of those below finds it taken
        more = [
            subprocess.Popen(
                [sys.executable, "-m", "contexta_client.sender", "--workspace", str(served.path), "--foreground"],
                env=sender_start.sender_environment(),
            )
            for _ in range(8)
        ]
        assert [each.wait(60) for each in more] == [0] * 8
        assert len(served.pids("sender")) == 1


def test_a_spool_that_is_no_spool_does_not_stop_the_others(served: Served, tmp_path: Path) -> None:
    ctx = served.contexta()
    run = ctx.run("good")
    run.metric("x", 1.0)
    root = spools_of(served.path)[0].parent
    bad = root / ("ab" * 16)
    bad.mkdir()
    (bad / "header").write_bytes(os.urandom(4096))
    (bad / "rows-0").write_bytes(b"CTXBLOCK" + os.urandom(100))
    torn = root / ("cd" * 16)
    shutil.copytree(spools_of(served.path)[0], torn)
    for file in torn.iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    run.metric("x", 2.0)
    run.close()
    assert ctx.get_step_series("good", "x").values.tolist() == [1.0, 2.0]
