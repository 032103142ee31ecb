"""The command line over the real sender and daemon: what was captured is what is shown."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator

from click.testing import CliRunner
from served import Served
from waiting import wait_until

from contexta_client.cli.main import root


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process whatever happens, with its pipes."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def ask(served: Served, *words: str) -> str:
    result = CliRunner().invoke(root, ["--workspace", str(served.path), *words], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_was_captured_is_what_is_shown(served: Served) -> None:
    ctx = served.contexta()
    with ctx.run("linear", tags={"kind": "svm"}) as run, run.stage("train") as stage:
        for step, value in enumerate((4.0, math.nan, 2.0)):
            stage.metric("train/loss", value, step=step, unit="nats")
        stage.event("seen", message="한국어\n<b>")
    ctx.flush(60)
    listed = json.loads(ask(served, "--format", "json", "runs", "--project", "demo", "--status", "completed"))
    assert [(each["run_id"], each["metric_count"]) for each in listed] == [("run:demo.linear", 3)]
    assert "demo.linear" in ask(served, "runs")
    shown = json.loads(ask(served, "--format", "json", "run", "show", "linear"))
    assert [each["name"] for each in shown["stages"]] == ["train"]
    assert shown["environment"]["python_version"].startswith("3.")
    assert "kind=svm" in ask(served, "run", "show", "linear")
    assert ask(served, "run", "series", "linear", "train/loss").splitlines()[1] == "█!▁"
    exported = [json.loads(line) for line in ask(served, "export", "jsonl", "-", "--run", "linear").splitlines()]
    assert [each["value"] for each in exported if each["record_type"] == "metric"] == [4.0, "NaN", 2.0]
    assert [each["message"] for each in exported if each["record_type"] == "event"] == ["한국어\n<b>"]


def test_a_tail_shows_records_while_they_are_captured(served: Served) -> None:
    ctx = served.contexta()
    with ctx.run("first") as run:
        run.metric("loss", 0.0)
    started = subprocess.Popen(
        [sys.executable, "-m", "contexta_client.cli", "--workspace", str(served.path), "--format", "json", "tail",
         "--key", "loss", "--from-start"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with ended(started) as tail:
        assert tail.stdout is not None
        assert json.loads(tail.stdout.readline())["value"] == 0.0
        live = ctx.run("live")
        for value in (1.0, 2.0):
            live.metric("loss", value)
            live.metric("other", -value)
            assert json.loads(tail.stdout.readline())["value"] == value  # while the run is open
        tail.send_signal(signal.SIGINT)
        rest, said = tail.communicate(timeout=20)
        assert (tail.returncode, rest, said) == (130, "", "")
    live.close()


def test_status_tells_how_far_a_worker_has_come(served: Served) -> None:
    ctx = served.contexta()
    live = ctx.run("live")
    for step in range(1000):
        live.metric("loss", 0.5, step=step)
    ctx.flush()

    def all_is_durable() -> bool:
        """the sender's report, which comes once a second, says that all is durable"""
        status = json.loads(ask(served, "--format", "json", "daemon", "status"))
        workers = [each for each in status["workers"] if each["run_id"] == "run:demo.live"]
        assert len(workers) <= 1
        for worker in workers:
            assert (worker["state"] in ("alive", "unknown"), worker["dropped"] or 0) == (True, 0)
        return any((w["captured"] or 0) >= 1000 and w["durable"] == w["captured"] for w in workers)

    wait_until(all_is_durable)
    live.close()
