"""Capturing leaves the training process as it was: no heavy import, no thread, no open socket, no signal handler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, os, signal, sys, threading
before = set(sys.modules)
handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
from contexta.config import load_config
from contexta_client.capture.session import Recorder

recorder = Recorder(load_config(workspace=sys.argv[1], patch={"daemon": {"autostart": False}}))
with recorder.run("light") as run, run.stage("train") as stage:
    for step in range(5000):
        stage.metric("loss", 0.5, step=step)
        stage.log({"a": 1.0, "b": 2.0}, step=step)
    stage.event("e", message="m", attributes={"a": 1})
    stage.span("s")
    run.register_artifact("program", sys.executable)
recorder.close()
open_files = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
files = [os.readlink(name) for name in open_files if os.path.exists(name)]
print(json.dumps({
    "modules": sorted({name.split(".")[0] for name in set(sys.modules) - before}),
    "threads": len(os.listdir("/proc/self/task")),
    "sockets": [name for name in files if name.startswith("socket")],
    "handlers": handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
    "left_open": [name for name in files if "spool" in name],
}))
"""

HEAVY = {
    "grpc", "google", "numpy", "duckdb", "sqlite3", "msgspec", "anyio", "xxhash", "zstandard", "platformdirs",
    "asyncio", "subprocess", "socket", "ssl", "multiprocessing", "logging", "importlib_metadata", "click", "rich",
}  # fmt: skip


def test_capturing_imports_only_light_modules_and_starts_no_thread(tmp_path: Path) -> None:
    environment = os.environ | {"CONTEXTA_SPOOL_DIR": str(tmp_path / "spools"), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "workspace")],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    found = json.loads(done.stdout)
    assert not HEAVY & set(found["modules"])
    standard = set(sys.stdlib_module_names) | {"contexta", "contexta_client"}
    assert set(found["modules"]) <= standard
    assert found["threads"] == 1
    assert found["sockets"] == []
    assert found["handlers"]
    assert found["left_open"] == []
    assert done.stderr == ""


FIRST_USES = """
import json, os, sys
from contexta.config import load_config
from contexta_client.capture.session import Recorder

recorder = Recorder(load_config(workspace=sys.argv[1], patch={"daemon": {"autostart": False}}))
before = set(sys.modules)
run = recorder.run("light", metadata={"nan": float("nan")})
stage = run.stage("train")
stage.metric("loss", 0.5, tags={"a": 1})
stage.event("e", message="m", attributes={"a": float("nan")})
stage.span("s", started_at="2025-01-10T09:00:00Z", linked_refs=[run.ref])
stage.register_artifact("program", sys.executable)
stage.close("failed", reason=ValueError("bad"))
print(run.started_at)
recorder.close()
print(json.dumps([name for name in set(sys.modules) - before if not name.startswith("encodings.")]))
"""


def test_no_capture_call_imports_anything(tmp_path: Path) -> None:
    """A fork beside a thread that imports leaves the child a module that can never be imported."""
    environment = os.environ | {"CONTEXTA_SPOOL_DIR": str(tmp_path / "spools"), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", FIRST_USES, str(tmp_path / "workspace")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
