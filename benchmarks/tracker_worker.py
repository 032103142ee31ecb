"""One process that tracks a run with one tracker, and prints what its calls cost. Run by trackers.py, in that tracker's
own environment, so only the standard library and the tracker are imported. Nothing leaves this machine: every tracker
is told to work offline or on a local file."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

clock = time.perf_counter_ns


class Contexta:
    """This project: durable when flush() has returned."""

    def __init__(self, place: Path, number: int) -> None:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        from contexta import Contexta as Client

        self.ctx = Client(workspace=place / "ws", config={"project_name": "bench"})
        self.run = self.ctx.run(f"run-{number}")
        self.metric = self.run.metric
        self.log = self.run.log

    def finish(self) -> None:
        self.ctx.flush(600)
        self.run.close()
        self.ctx.close()


class JsonLines:
    """The yardstick: a line each, synced at the end."""

    def __init__(self, place: Path, number: int) -> None:
        self.file = (place / f"lines-{number}").open("w", encoding="utf-8")

    def metric(self, key: str, value: float, *, step: int) -> None:
        self.file.write(json.dumps({"key": key, "value": value, "step": step, "time": time.time_ns()}) + "\n")

    def log(self, values: dict[str, float], *, step: int) -> None:
        self.file.write(json.dumps({"metrics": values, "step": step, "time": time.time_ns()}) + "\n")

    def finish(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()


class Nothing:
    """Calls that do nothing: what measuring itself costs, and how exact it is."""

    def __init__(self, place: Path, number: int) -> None: ...

    def metric(self, key: str, value: float, *, step: int) -> None: ...

    def log(self, values: dict[str, float], *, step: int) -> None: ...

    def finish(self) -> None: ...


class Tensorboard:
    """Its event writer with its queue and thread, as torch's SummaryWriter uses it."""

    def __init__(self, place: Path, number: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.event, self.summary = Event, Summary
        self.writer = EventFileWriter(str(place / f"events-{number}"))

    def metric(self, key: str, value: float, *, step: int) -> None:
        summary = self.summary(value=[self.summary.Value(tag=key, simple_value=value)])
        self.writer.add_event(self.event(summary=summary, step=step, wall_time=time.time()))

    def log(self, values: dict[str, float], *, step: int) -> None:
        summary = self.summary(value=[self.summary.Value(tag=k, simple_value=v) for k, v in values.items()])
        self.writer.add_event(self.event(summary=summary, step=step, wall_time=time.time()))

    def finish(self) -> None:
        self.writer.close()


class Trackio:
    """Its local database."""

    def __init__(self, place: Path, number: int) -> None:
        os.environ.update(TRACKIO_DIR=str(place / "trackio"), HF_HUB_OFFLINE="1")
        import trackio

        self.module = trackio
        trackio.init(project="bench", name=f"run-{number}", embed=False)

    def metric(self, key: str, value: float, *, step: int) -> None:
        self.module.log({key: value}, step=step)

    def log(self, values: dict[str, float], *, step: int) -> None:
        self.module.log(values, step=step)

    def finish(self) -> None:
        self.module.finish()


class Swanlab:
    """Offline mode."""

    def __init__(self, place: Path, number: int) -> None:
        import swanlab

        self.module = swanlab
        swanlab.init(project="bench", name=f"run-{number}", mode="offline", logdir=str(place / f"swanlab-{number}"))

    def metric(self, key: str, value: float, *, step: int) -> None:
        self.module.log({key: value}, step=step)

    def log(self, values: dict[str, float], *, step: int) -> None:
        self.module.log(values, step=step)

    def finish(self) -> None:
        self.module.finish()


class Wandb:
    """Offline mode, with its service process."""

    def __init__(self, place: Path, number: int) -> None:
        os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=str(place))
        import wandb

        self.run: Any = wandb.init(project="bench", name=f"run-{number}", mode="offline", dir=str(place))

    def metric(self, key: str, value: float, *, step: int) -> None:
        self.run.log({key: value}, step=step)

    def log(self, values: dict[str, float], *, step: int) -> None:
        self.run.log(values, step=step)

    def finish(self) -> None:
        self.run.finish()


class Mlflow:
    """Its SQLite store, synchronous, its default."""

    def __init__(self, place: Path, number: int) -> None:
        os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
        import mlflow

        self.module = mlflow
        mlflow.set_tracking_uri(f"sqlite:///{place / 'mlflow.db'}")
        mlflow.set_experiment("bench")
        mlflow.start_run(run_name=f"run-{number}")

    def metric(self, key: str, value: float, *, step: int) -> None:
        self.module.log_metric(key, value, step=step)

    def log(self, values: dict[str, float], *, step: int) -> None:
        self.module.log_metrics(values, step=step)

    def finish(self) -> None:
        self.module.end_run()


TRACKERS: dict[str, Any] = {
    "contexta": Contexta,
    "json lines": JsonLines,
    "tensorboard": Tensorboard,
    "trackio": Trackio,
    "swanlab": Swanlab,
    "wandb": Wandb,
    "mlflow": Mlflow,
}


def resident_bytes() -> int:
    """The memory this process holds now; 0 where /proc tells nothing."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
    return 0


def main(name: str, place: Path, number: int, count: int, log_count: int, answers: TextIO) -> dict[str, Any]:
    """Track `count` metrics in single calls, then `log_count` rows of 100, and finish. Meets the other processes of
    the trial after its first metric. Returns times in nanoseconds and sizes in bytes."""
    before, began = resident_bytes(), clock()
    tracker = TRACKERS[name](place, number)
    tracker.metric("first", 1.0, step=0)
    started_ns = clock() - began
    print("ready", file=answers, flush=True)
    sys.stdin.readline()
    rows = {f"layer{index}/norm": index / 7 for index in range(100)}
    calls, logs = [], []
    began = clock()
    for step in range(count):
        call_began = clock()
        tracker.metric("loss", step / 7, step=step)
        calls.append(clock() - call_began)
    for step in range(count, count + log_count):
        call_began = clock()
        tracker.log(rows, step=step)
        logs.append(clock() - call_began)
    gained = resident_bytes() - before
    tracker.finish()
    return {"started_ns": started_ns, "total_ns": clock() - began, "calls": calls, "logs": logs, "gained_bytes": gained}


if __name__ == "__main__":
    # What trackers print for people goes to stderr; stdout is for trackers.py alone.
    with os.fdopen(os.dup(1), "w") as kept:
        os.dup2(2, 1)
        found = main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6]), answers=kept)
        print(json.dumps(found), file=kept, flush=True)
