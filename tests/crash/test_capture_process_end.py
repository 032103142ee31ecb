"""How a capturing process may end, and what is then in its spool: all that was returned, always."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from spool_reader import SpoolContent, read_spools
from waiting import wait_until

HEAD = """
import os, signal, sys, threading
from contexta.config import load_config
from contexta_client.capture.session import Recorder

recorder = Recorder(load_config(workspace=sys.argv[1], patch={
    "project_name": "p", "daemon": {"autostart": False}, "capture": {"environment": False, "exit_timeout_s": 0.1}}))
run = recorder.run("end")
stage = run.stage("train")
"""


def start(folder: Path, body: str, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"CONTEXTA_SPOOL_DIR": str(folder / "spools"), "PYTHONPATH": str(Path.cwd())}
    environment.pop("CONTEXTA_PARENT_SESSION", None)
    command = [sys.executable, "-c", HEAD + body, str(folder / "workspace"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(folder: Path, body: str) -> tuple[SpoolContent, subprocess.CompletedProcess[str]]:
    process = start(folder, body)
    out, error = process.communicate(timeout=30)
    (spool,) = read_spools(folder / "spools")
    return spool, subprocess.CompletedProcess(process.args, process.returncode, out, error)


def statuses(spool: SpoolContent) -> list[str]:
    return [each.status for each in spool.of("scope_closed")]


@pytest.mark.parametrize(
    ("body", "code", "expected"),
    [
        ("stage.metric('loss', 1.0)", 0, ["completed", "completed"]),
        ("stage.metric('loss', 1.0); raise ValueError('bad')", 1, ["failed", "failed"]),
        ("stage.metric('loss', 1.0); raise KeyboardInterrupt", -signal.SIGINT, ["cancelled", "cancelled"]),
    ],
)
def test_the_end_of_the_program_closes_what_is_open(tmp_path: Path, body: str, code: int, expected: list[str]) -> None:
    spool, done = finish(tmp_path, body)
    assert done.returncode == code
    assert statuses(spool) == expected
    assert spool.ended
    assert spool.values("loss") == [1.0]


def test_a_mistake_at_a_prompt_fails_no_run_that_is_open_when_the_session_ends(tmp_path: Path) -> None:
    environment = os.environ | {"CONTEXTA_SPOOL_DIR": str(tmp_path / "spools"), "PYTHONPATH": str(Path.cwd())}
    lines = HEAD.replace("sys.argv[1]", repr(str(tmp_path / "workspace")))
    typed = f"typo\n{lines}\ntypo\nstage.metric('loss', 1.0)\n"
    done = subprocess.run(
        [sys.executable, "-i"], input=typed, capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    (spool,) = read_spools(tmp_path / "spools")
    assert done.stderr.count("NameError") == 2
    assert statuses(spool) == ["completed", "completed"]


WORKER = """
import multiprocessing
run.close()

def work(how):
    run = recorder.run("worker")
    run.metric("loss", 1.0)
    if how == "raise":
        raise ValueError("bad")
    if how == "exit":
        sys.exit(3)

if __name__ == "__main__":
    worker = multiprocessing.get_context("fork").Process(target=work, args=(sys.argv[2],))
    worker.start()
    worker.join()
    print(worker.exitcode)
"""


@pytest.mark.parametrize(
    ("how", "code", "expected"), [("return", 0, "completed"), ("raise", 1, "failed"), ("exit", 3, "failed")]
)
def test_a_forked_worker_of_multiprocessing_closes_what_is_open_as_it_ends(
    tmp_path: Path, how: str, code: int, expected: str
) -> None:
    process = start(tmp_path, WORKER, how)
    out, error = process.communicate(timeout=60)
    assert int(out) == code, error
    (of_worker,) = [spool for spool in read_spools(tmp_path / "spools") if spool.pid != process.pid]
    assert of_worker.values("loss") == [1.0]
    assert of_worker.ended
    assert statuses(of_worker) == [expected]


def test_an_exit_without_clean_up_loses_nothing_that_returned(tmp_path: Path) -> None:
    spool, _ = finish(tmp_path, "for i in range(5000): stage.metric('loss', float(i))\nos._exit(3)")
    assert spool.values("loss") == [float(call) for call in range(5000)]
    assert not spool.ended
    assert statuses(spool) == []


def test_a_process_killed_in_a_tight_loop_loses_nothing_that_returned(tmp_path: Path) -> None:
    body = """
returned = memoryview(__import__('mmap').mmap(os.open(sys.argv[1] + '-returned', os.O_RDWR | os.O_CREAT), 8)) \\
    if os.truncate(os.open(sys.argv[1] + '-returned', os.O_RDWR | os.O_CREAT), 8) is None else None
count = returned.cast('q')
call = 0
while True:
    stage.metric('loss', float(call), step=call)
    stage.log({'a': float(call), 'b': 1.0})
    call += 1
    count[0] = call
"""
    process = start(tmp_path, body)
    counter = Path(f"{tmp_path / 'workspace'}-returned")
    wait_until(lambda: counter.exists() and int.from_bytes(counter.read_bytes(), "little") > 20_000)
    process.kill()
    process.communicate()
    returned = int.from_bytes(counter.read_bytes(), "little")
    (spool,) = read_spools(tmp_path / "spools")
    for key in ("loss", "a"):
        values = sorted(spool.values(key))
        assert values[:returned] == [float(call) for call in range(returned)]
        assert len(values) <= returned + 1


INTERRUPTED = """
import random, time
kept = lost = 0
signal.signal(signal.SIGALRM, signal.default_int_handler)
random.seed(1)
call = 0
while call < 3000:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-6, 1e-3))
        while True:
            call += 1
            stage.metric('loss', float(call), step=call)
            kept += 1
            if call % 7 == 0:
                stage.log({'a': float(call), 'b': 1.0})
            if call % 50 == 0:
                stage.event('e', message=str(call))
                stage.metric(f'key-{call}', 1)
                with stage.batch(f'batch-{call}'):
                    pass
    except KeyboardInterrupt:
        lost += 1
signal.setitimer(signal.ITIMER_REAL, 0)
stage.metric('last', 1.0)
print(kept, lost)
"""


def test_interrupts_in_the_middle_of_calls_leave_a_whole_spool(tmp_path: Path) -> None:
    spool, done = finish(tmp_path, INTERRUPTED)
    assert done.returncode == 0, done.stderr
    kept, lost = map(int, done.stdout.split())
    values = spool.values("loss")
    assert len(set(values)) == len(values)
    assert kept <= len(values) <= kept + lost
    assert spool.values("last") == [1.0]
    assert spool.holes == 0
    assert statuses(spool)[-2:] == ["completed", "completed"]


NESTED = """
import random
handled = 0
def handler(*_):
    global handled
    handled += 1
    stage.metric('handler', float(handled))
    stage.log({'h-a': 1.0, 'h-b': 2.0})
    stage.event('h', message='x' * 3000)
signal.signal(signal.SIGALRM, handler)
call = armed = 0
while handled < 300:
    if armed == handled:  # one at a time: a handler that is slower than its timer would nest without end
        armed += 1
        signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-6, 5e-4))
    stage.metric('loss', float(call))
    stage.log({'a': float(call), 'b': 1.0})
    if call % 20 == 0:
        stage.event('e', message='y' * 5000)
        stage.metric(f'key-{call}', 1.0)
    call += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(call, handled)
"""


def test_a_signal_handler_that_captures_doubles_and_loses_nothing(tmp_path: Path) -> None:
    spool, done = finish(tmp_path, NESTED)
    assert done.returncode == 0, done.stderr
    calls, handled = map(int, done.stdout.split())
    assert spool.values("loss") == [float(call) for call in range(calls)]
    assert sorted(spool.values("a")) == [float(call) for call in range(calls)]
    assert spool.values("handler") == [float(number) for number in range(1, handled + 1)]
    assert len([each for each in spool.of("event") if each.key == "h"]) == handled
    assert (spool.holes, spool.voids) == (0, 0)


def test_the_errors_of_a_users_signal_handler_are_passed_on(tmp_path: Path) -> None:
    body = """
def handler(*_):
    raise ValueError('mine')
signal.signal(signal.SIGALRM, handler)
seen = 0
for attempt in range(200):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        while True:
            stage.metric('loss', 1.0, step=1)
    except ValueError as error:
        assert type(error) is ValueError, error
        seen += 1
print(seen)
"""
    spool, done = finish(tmp_path, body)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "200"
    assert spool.holes == 0


@pytest.mark.parametrize(
    ("durable", "missing", "says"),
    [
        (False, False, "the daemon is slow or does not answer"), (False, True, "(no sender comes up)"),
        (True, False, "everything captured is durable"),
    ],
)  # fmt: skip
def test_the_end_waits_no_longer_than_configured_and_says_what_is_left(
    tmp_path: Path, durable: bool, missing: bool, says: str
) -> None:
    body = f"""
import time
from contexta_client.capture import spool_format as fmt
recorder._stream.spool.words[fmt.FLUSH_DONE] = {int(durable)} << 40
object.__setattr__(recorder.sender, 'is_missing', lambda: {missing})
object.__setattr__(recorder.sender, 'ensure', lambda heartbeat: True)
object.__setattr__(recorder.config.daemon, 'autostart', True)
stage.metric('loss', 1.0)
import atexit
started = time.monotonic()
recorder.close()
print(time.monotonic() - started)
"""
    spool, done = finish(tmp_path, body)
    assert 0.05 < float(done.stdout) < 2
    assert done.stderr.count("\n") == 1
    assert says in done.stderr and ("nothing is lost" in done.stderr) == (not durable)
    assert spool.ended
