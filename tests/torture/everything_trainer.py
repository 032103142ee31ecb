"""One training process of `everything`: a random mixture of all that can be captured, counted outside the workspace.

A step goes up only when its call said that it was kept: what is in the log must be 0, 1, 2 ... as far as was counted.
What was refused is counted as well. A process that is killed has at most one call more in flight in each thread.
"""

from __future__ import annotations

import os
import random
import threading
import time
from hashlib import sha256
from pathlib import Path

from kills import value
from rig import Shared

from contexta import Contexta
from contexta.errors import DeadlineError

WIDTH = 7
MODEL_BYTES = 3000
SMALL_DISK_METRICS = 300_000  # then a trainer goes on slowly, so that the disk gets full when it is filled only
# Words that a process leaves behind.
READY, STOP, METRICS, ROWS, EVENTS, CHILDREN, MODELS, THREAD, DURABLE, ENDED = range(10)
LOST_METRICS, LOST_ENTRIES, THREAD_LOST = 16, 17, 18
REFUSED = 20  # models that were refused: their files have names in a row all the same


def settings(chance: random.Random, *, small_disk: bool) -> dict[str, object]:
    """Return a random configuration; whoever starts the daemon first settles the daemon's part of it."""
    return {
        "project_name": "k",
        "capture": {
            "spool_bytes": chance.choice([1, 2, 16, 64]) << 20,
            "spill_bytes": chance.choice([0, 2 << 20, 1 << 30]),
            "on_full": chance.choice(["drop_newest", "block"]),
            "block_timeout_s": chance.choice([0.0, 0.01, 0.2]),
            "exit_timeout_s": chance.choice([0.0, 0.5, 5.0]),
            "local_jsonl": chance.random() < 0.7 and not small_disk,  # 300 bytes a record
            "packages": chance.random() < 0.2,
            "git": False,
        },
        "records": {
            "durability": chance.choice(["fsync", "fsync", "interval", "none"]),
            "segment_bytes": chance.choice([4096, 1 << 16, 1 << 20, 64 << 20]),
            "compression_level": chance.choice([1, 1, 3]),
        },
        "daemon": {"admission_bytes": chance.choice([1, 4, 64]) << 20, "idle_timeout_s": chance.choice([1.0, 900.0])},
        "artifacts": {"mode": chance.choice(["adopt", "copy"])},
    }


def model_bytes(number: int, place: int) -> bytes:
    """Return the content of the place-th model of a trainer."""
    return sha256(f"{number}/{place}".encode()).digest() * (MODEL_BYTES // 32)


class Training:
    """Everything that one process does; each method is one kind of step."""

    def __init__(self, workspace: Path, number: int, seed: str, *, small_disk: bool) -> None:
        self.chance = random.Random(seed)
        self.number = number
        self.most = SMALL_DISK_METRICS if small_disk else 1 << 62
        self.shared = Shared(workspace.parent / f"done{number}")
        self.models = workspace.parent / "models"
        self.ctx = Contexta(workspace=workspace, config=settings(self.chance, small_disk=small_disk))
        self.run = self.ctx.run(f"r{number}")
        self.stage = self.run.stage("train")
        for _ in range(
            3
        ):  # a set of keys becomes a group when it recurs: from then on a row is kept whole or not at all
            self.row()
        self.threads = [threading.Thread(target=self.capture_beside) for _ in range(self.chance.choice([0, 0, 1]))]

    def go_on(self) -> None:
        """Capture until told to stop."""
        kinds = [self.metric] * 12 + [self.row] * 4 + [self.event] * 2 + [self.batch, self.fork, self.model, self.flush]
        for thread in self.threads:
            thread.start()
        pace_s = self.chance.choice([0.0, 0.0, 0.001])
        while not self.shared[STOP]:
            for kind in self.chance.choices(kinds, k=20):
                kind()
            self.shared[READY] = 1
            time.sleep(pace_s if self.shared[METRICS] < self.most else 0.2)
        for thread in self.threads:
            thread.join()
        self.run.close()
        self.ctx.close()
        self.shared[ENDED] = 1

    def metric(self) -> None:
        for _ in range(self.chance.choice([1, 10, 200])):
            step = self.shared[METRICS]
            if self.stage.metric("loss", value(step), step=step):
                self.shared[METRICS] = step + 1
            else:
                self.shared[LOST_METRICS] += 1

    def row(self) -> None:
        for _ in range(self.chance.choice([1, 30])):
            step = self.shared[ROWS]
            done = self.stage.log({f"g{k}": value(step * WIDTH + k) for k in range(WIDTH)}, step=step)
            if done:
                self.shared[ROWS] = step + 1
            else:
                self.shared[LOST_METRICS] += WIDTH

    def event(self) -> None:
        number = self.shared[EVENTS]
        if self.stage.event("note", message=str(number), attributes={"n": number}):
            self.shared[EVENTS] = number + 1
        else:
            self.shared[LOST_ENTRIES] += 1

    def batch(self) -> None:
        with self.stage.batch(f"b{self.chance.randrange(10)}"):
            self.metric()

    def fork(self) -> None:
        step = self.shared[CHILDREN]
        pid = os.fork()
        if pid == 0:
            os._exit(0 if self.stage.metric("child", value(step), step=step) else 1)
        _, status = os.waitpid(pid, 0)
        if status == 0:
            self.shared[CHILDREN] = step + 1
        else:
            self.shared[LOST_METRICS] += 1

    def model(self) -> None:
        place = self.shared[MODELS] + self.shared[REFUSED]
        path = self.models / f"m{self.number}-{place}"
        path.write_bytes(model_bytes(self.number, place))
        if self.stage.register_artifact("model", path, artifact_ref=f"artifact:k.r{self.number}.m{place}"):
            self.shared[MODELS] += 1
        else:
            self.shared[LOST_ENTRIES] += 1
            self.shared[REFUSED] += 1

    def flush(self) -> None:
        """What returned before a flush that came back is durable."""
        if self.chance.random() < 0.5:
            return
        before = self.shared[METRICS] + WIDTH * self.shared[ROWS]
        try:
            self.ctx.flush(0.3)
        except DeadlineError:
            return
        self.shared[DURABLE] = before

    def capture_beside(self) -> None:
        while not self.shared[STOP]:
            step = self.shared[THREAD]
            if self.run.metric("beside", value(step), step=step):
                self.shared[THREAD] = step + 1
            else:
                self.shared[THREAD_LOST] += 1
            if step % 50 == 0:
                time.sleep(0.001 if step < self.most else 0.2)


def main(workspace: str, number: str, seed: str, small_disk: str) -> None:
    """Be a trainer; what it says for people goes to a file."""
    said = os.open(Path(workspace).parent / f"said{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 2)
    Training(Path(workspace), int(number), seed, small_disk=small_disk == "True").go_on()
