"""Forks beside capturing threads: no hang; every returned call is there exactly once, in its own process's spool."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from capturing import Capturing
from spool_reader import read_spools

from contexta.capture import MemorySink
from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place

PROGRAM = """
import os, sys, threading
from contexta.config import load_config
from contexta_client.capture.session import Recorder

recorder = Recorder(load_config(workspace=sys.argv[1], patch={
    "project_name": "p", "daemon": {"autostart": False}, "capture": {"environment": False, "exit_timeout_s": 0.1}}))
FORKS, THREADS, CALLS = int(sys.argv[2]), 3, 60
stop = threading.Event()
returned = [0] * THREADS

def busy(number, stage):
    while not stop.is_set():
        value = float(returned[number])
        stage.metric(f"thread-{number}", value)
        stage.log({"g-a": value, "g-b": float(number)})
        if returned[number] % 50 == 0:
            stage.event("tick", message=f"{number}:{returned[number]}")
            with stage.batch(f"b{number}-{returned[number]}"):
                pass
        returned[number] += 1

with recorder.run("forks") as run, run.stage("train") as stage:
    stage.metric("before", 1.0)
    threads = [threading.Thread(target=busy, args=(number, stage), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for child in range(FORKS):
        pid = os.fork()
        if pid == 0:
            for call in range(CALLS):
                assert stage.metric("child", float(call), step=child).ok
                stage.log({"c-a": float(call), "c-b": 1.0}, step=child)
            recorder.event("from-child", message=str(child))
            if child % 3 == 0:
                with run.stage(f"own-{child}") as own:
                    own.metric("own", 1.0)
            if child % 5 == 0:
                grandchild = os.fork()
                if grandchild == 0:
                    recorder.metric("grandchild", float(child))
                    os._exit(0)
                os.waitpid(grandchild, 0)
            if child % 2:
                run.close()  # of the parent's run: local only
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        assert status == 0, status
    stop.set()
    for thread in threads:
        thread.join()
print(*returned)
"""

FORKS = 60


def run_program(program: str, folder: Path, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CONTEXTA_SPOOL_DIR": str(folder / "spools"), "PYTHONPATH": str(Path.cwd())}
    environment.pop("CONTEXTA_PARENT_SESSION", None)
    command = [sys.executable, "-c", program, str(folder / "workspace"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=timeout_s)


def test_children_forked_beside_capturing_threads_lose_and_double_nothing(tmp_path: Path) -> None:
    done = run_program(PROGRAM, tmp_path, str(FORKS))
    assert done.returncode == 0, done.stderr
    returned = [int(each) for each in done.stdout.split()]
    parent, *rest = read_spools(tmp_path / "spools")
    children = [spool for spool in rest if spool.values("child")]
    grandchildren = [spool for spool in rest if spool.values("grandchild")]

    assert parent.ended
    assert parent.values("before") == [1.0]
    for number, calls in enumerate(returned):
        assert parent.values(f"thread-{number}") == [float(call) for call in range(calls)]
    assert len(parent.values("g-a")) == sum(returned)
    assert parent.values("child") == []

    assert len(children) == FORKS
    assert len(grandchildren) == len(range(0, FORKS, 5))
    assert len(rest) == len(children) + len(grandchildren)
    for spool in children:
        (child,) = {metric.step for metric in spool.metrics if metric.key == "child"}
        assert child is not None
        assert spool.values("child") == [float(call) for call in range(60)]
        assert sorted(spool.values("c-a")) == [float(call) for call in range(60)]
        assert [each.message for each in spool.of("event")] == [str(child)]
        assert spool.of("session_opened")[0].parent_session_id == parent.session_id
        assert spool.of("session_opened")[0].pid == spool.pid != parent.pid
        opened = {each.name: each.inherited for each in spool.of("scope_opened")}
        own = {f"own-{child}": False} if child % 3 == 0 else {}
        assert opened == {"forks": True, "train": True, **own}
        assert len(spool.of("scope_closed")) == len(own)
        assert (spool.holes, spool.voids) == (0, 0)
    of_child = {spool.session_id for spool in children}
    assert all(spool.of("session_opened")[0].parent_session_id in of_child for spool in grandchildren)


WORKERS = """
import multiprocessing, os, sys
from contexta.config import load_config
from contexta_client.capture.session import Recorder

PATCH = {"project_name": "p", "daemon": {"autostart": False}, "capture": {"environment": False, "exit_timeout_s": 0.1}}

def work(workspace, number):
    recorder = Recorder(load_config(workspace=workspace, patch=PATCH))
    with recorder.run("workers") as run:
        for call in range(50):
            run.metric("worker", float(call), step=number)
    recorder.close()

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    recorder = Recorder(load_config(workspace=sys.argv[1], patch=PATCH))
    with recorder.run("workers") as run:
        run.metric("main", 1.0)
        processes = [context.Process(target=work, args=(sys.argv[1], number)) for number in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0
"""


def check_workers(tmp_path: Path, method: str) -> None:
    program = tmp_path / "workers.py"
    program.write_text(WORKERS)
    environment = os.environ | {"CONTEXTA_SPOOL_DIR": str(tmp_path / "spools"), "PYTHONPATH": str(Path.cwd())}
    environment.pop("CONTEXTA_PARENT_SESSION", None)
    command = [sys.executable, str(program), str(tmp_path / "workspace"), method]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    spools = read_spools(tmp_path / "spools")
    parent = next(spool for spool in spools if spool.values("main"))
    workers = [spool for spool in spools if spool is not parent]
    assert len(workers) == 3
    for spool in workers:
        assert spool.of("session_opened")[0].parent_session_id == parent.session_id
        assert spool.values("worker") == [float(call) for call in range(50)]
        assert [each.inherited for each in spool.of("scope_opened")] in ([False], [True, False])
        assert spool.ended
    assert {metric.step for spool in workers for metric in spool.metrics} == {0, 1, 2}


def test_spawned_workers_know_whose_children_they_are(tmp_path: Path) -> None:
    check_workers(tmp_path, "spawn")


def test_forked_workers_with_a_client_of_their_own_know_whose_children_they_are(tmp_path: Path) -> None:
    check_workers(tmp_path, "fork")


def test_workers_of_a_fork_server_capture_all_the_same(tmp_path: Path) -> None:
    check_workers(tmp_path, "forkserver")


def test_a_fork_inside_a_capture_call_harms_neither_process(capturing: Capturing) -> None:
    """A sink may fork, in the middle of a call that holds locks."""

    class Forking:
        name = "forking"

        def capture(self, family: object, payload: object) -> None:
            pid = os.fork()
            if pid == 0:
                recorder.feed.sinks = ()
                recorder.event("in-child", message="x")
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0

    recorder = capturing.recorder(sinks=[])
    run = recorder.run("fork")
    recorder.feed.sinks = (Forking(),)
    with recorder.lock, recorder.stream().lock:
        run.event("in-parent", message="x")
    recorder.feed.sinks = ()
    parent, child = capturing.read()
    assert [each.key for each in parent.of("event")] == ["in-parent"]
    assert [each.key for each in child.of("event")] == ["in-child"]


IN_THE_MIDDLE = """
import os, signal, sys, threading
from contexta.config import load_config
from contexta_client.capture import spool_place
from contexta_client.capture.session import Recorder

recorder = Recorder(load_config(workspace=sys.argv[1], patch={
    "project_name": "p", "daemon": {"autostart": False}, "capture": {"environment": False, "exit_timeout_s": 0.1}}))
inside, go, real = threading.Event(), threading.Event(), spool_place.choose_root

def choose_root(*arguments):
    if threading.current_thread() is not threading.main_thread():
        inside.set()
        go.wait()
    return real(*arguments)

def begin():
    recorder.run("parent").metric("parent", 1.0)

spool_place.choose_root = choose_root
thread = threading.Thread(target=begin)
thread.start()
inside.wait()
pid = os.fork()
if pid == 0:
    signal.alarm(20)  # rather than to hang for ever
    assert recorder.run("child").metric("child", 1.0).ok
    os._exit(0)
status = os.waitpid(pid, 0)[1]
go.set()
thread.join()
sys.exit(status)
"""


def test_a_child_forked_while_a_thread_begins_the_session_begins_its_own(tmp_path: Path) -> None:
    done = run_program(IN_THE_MIDDLE, tmp_path)
    assert done.returncode == 0, done.stderr
    spools = read_spools(tmp_path / "spools")
    assert [[each.key for each in spool.metrics] for spool in spools if spool.values("child")] == [["child"]]
    assert [spool.values("parent") for spool in spools if spool.values("parent")] == [[1.0]]


def test_what_the_parent_could_not_keep_is_not_said_by_the_child_too(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_place(*_: object) -> None:
        raise OSError(28, "No space left on device")

    recorder = capturing.recorder()
    with monkeypatch.context() as patched:
        patched.setattr(spool_place, "choose_root", no_place)
        run = recorder.run("late")
        assert run.metric("loss", 1.0).dropped == 1
    pid = os.fork()
    if pid == 0:
        os._exit(not run.metric("loss", 2.0).ok)
    assert os.waitpid(pid, 0)[1] == 0
    assert capturing.one().words[fmt.DROPPED_DISK_METRICS] == 0


def test_a_child_tells_the_sinks_of_no_end_but_of_its_own_scopes(capturing: Capturing) -> None:
    memory = MemorySink()
    recorder = capturing.recorder(sinks=[memory])
    run = recorder.run("parent")
    pid = os.fork()
    if pid == 0:
        memory.clear()
        with run.stage("own"):
            pass
        run.close()
        os._exit([(each.ref, each.status) for each in memory.payloads("CONTEXT")] != [
            ("stage:demo.parent.own", "open"), ("stage:demo.parent.own", "completed"),
        ])  # fmt: skip
    assert os.waitpid(pid, 0)[1] == 0
    assert run.status == "open"


def test_spans_of_one_run_in_a_child_are_one_trace_from_the_first_on(capturing: Capturing) -> None:
    run = capturing.recorder().run("traced")
    ours = run.span("a").payload["trace_id"]
    pid = os.fork()
    if pid == 0:
        first, second = (run.span("a").payload["trace_id"] for _ in range(2))
        os._exit(not ours != first == second)
    assert os.waitpid(pid, 0)[1] == 0
