"""One process that trains a small transformer with and without one tracker, in turns. Run by real_loop.py in that
tracker's own environment; torch is found in the environment whose packages are named in the first argument."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracker_worker import TRACKERS, Nothing

PLAIN, CAPTURED = 0, 1
UNMEASURED_S = 0.06  # at the beginning of a slice: what works in the background begins, or comes to its end
SLICE_S = 0.25
VOCABULARY, LENGTH, BATCH = 64, 32, 8

Log = Callable[[dict[str, float], int], None]


class Training:
    """A transformer of two layers that learns to continue random walks: forward, backward, AdamW, loss.item()."""

    def __init__(self, device: str) -> None:
        import torch

        self.torch, self.device = torch, device
        torch.manual_seed(1)
        layer = torch.nn.TransformerEncoderLayer(96, 4, 192, dropout=0.0, batch_first=True)
        self.model = torch.nn.Sequential(
            torch.nn.Embedding(VOCABULARY, 96),
            torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            torch.nn.Linear(96, VOCABULARY),
        ).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        moves = torch.randint(-2, 3, (BATCH, LENGTH + 1))
        self.tokens = (moves.cumsum(1) % VOCABULARY).to(device)

    def step(self) -> float:
        """Return the loss, which also waits for the device."""
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.model(self.tokens[:, :-1])
        loss = self.torch.nn.functional.cross_entropy(logits.flatten(0, 1), self.tokens[:, 1:].flatten())
        loss.backward()
        self.optimizer.step()
        return float(loss.item())


class Pace:
    """How often how many metrics are tracked, so that a loop that pays nothing makes `rate` of them a second."""

    def __init__(self, rate: int, step_s: float) -> None:
        self.every = max(1, round(1 / (rate * step_s)))
        self.width = max(1, round(rate * step_s * self.every))
        self.keys = ["loss", *(f"layer{number}/norm" for number in range(self.width - 1))]
        self.steps = max(self.every, round(SLICE_S / step_s / self.every) * self.every)
        self.unmeasured = max(self.every, round(UNMEASURED_S / step_s / self.every) * self.every)


class Loop:
    """The training loop: the same work in both, the values made too; only the tracker's call is left out in one."""

    def __init__(self, training: Training, log: Log) -> None:
        self.training, self.log = training, log
        self.done = self.tracked = 0

    def slice(self, pace: Pace, which: int) -> tuple[float, float]:
        """Return the wall and CPU seconds of a slice, after a part of it that is not measured."""
        self._steps(pace, pace.unmeasured, which)
        began, cpu = time.perf_counter(), time.thread_time()
        self._steps(pace, pace.steps, which)
        return time.perf_counter() - began, time.thread_time() - cpu

    def _steps(self, pace: Pace, count: int, which: int) -> None:
        for _ in range(count):
            loss = self.training.step()
            self.done += 1
            if self.done % pace.every == 0:
                values = {key: loss + number for number, key in enumerate(pace.keys)}
                if which == CAPTURED:
                    self.log(values, self.done)
                    self.tracked += len(values)


def log_of(name: str, tracker: Any) -> Log:
    """Return how a tracker takes a step's values: in one call, or in one call for each."""
    if not name.endswith(", each"):
        return lambda values, step: tracker.log(values, step=step)

    def each(values: dict[str, float], step: int) -> None:
        for key, value in values.items():
            tracker.metric(key, value, step=step)

    return each


def measure(loop: Loop, rate: int, step_s: float, *, pairs: int, budget_s: float) -> dict[str, Any]:
    """Return pairs of slices (plain wall, plain CPU, captured wall, captured CPU), and what others worked meanwhile."""
    pace = Pace(rate, step_s)
    loop.slice(pace, CAPTURED)
    found: list[list[float]] = []
    give_up, tracked, others = time.monotonic() + budget_s, loop.tracked, _cpu_of_others_s()
    while len(found) < 4 or (len(found) < pairs and time.monotonic() < give_up):  # four: quartiles need some
        order = (PLAIN, CAPTURED) if len(found) % 2 == 0 else (CAPTURED, PLAIN)
        taken = {which: loop.slice(pace, which) for which in order}
        found.append([*taken[PLAIN], *taken[CAPTURED]])
    return {
        "every": pace.every,
        "width": pace.width,
        "steps": pace.steps,
        "pairs": found,
        "tracked": loop.tracked - tracked,
        "others_cpu_s": None if others is None else _cpu_of_others_s() - others,  # type: ignore[operator]
    }


def _cpu_of_others_s() -> float | None:
    """CPU seconds of all processes but this one, since the machine started; None where /proc does not tell."""
    try:
        user, nice, system, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    except (OSError, ValueError):
        return None
    own = resource.getrusage(resource.RUSAGE_SELF)
    return (user + nice + system) / os.sysconf("SC_CLK_TCK") - own.ru_utime - own.ru_stime


def main(name: str, place: Path, threads: int, rates: list[int], pairs: int, budget_s: float) -> dict[str, Any]:
    """Train with one tracker at each rate. Returns what was found, with the step's time."""
    ends = time.monotonic() + budget_s
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tracker = {**TRACKERS, "nothing": Nothing}[name.removesuffix(", each")](place, 0)
    loop = Loop(Training(device), log_of(name, tracker))
    tracker.log({"loss": 1.0}, step=0)
    step_s = _step_s(loop.training)
    found = {}
    for number, rate in enumerate(rates):
        share = (ends - time.monotonic()) / (len(rates) - number)
        found[str(rate)] = measure(loop, rate, step_s, pairs=pairs, budget_s=share)
    tracker.finish()
    named = torch.cuda.get_device_name(0) if device == "cuda" else device
    return {"step_s": step_s, "device": named, "torch": torch.__version__, "rates": found}


def _step_s(training: Training) -> float:
    """The fastest of some rounds of ten steps, after a warm-up."""
    for _ in range(20):
        training.step()
    taken = []
    for _ in range(8):
        began = time.perf_counter()
        for _ in range(10):
            training.step()
        taken.append((time.perf_counter() - began) / 10)
    return min(taken)


if __name__ == "__main__":
    # What trackers print for people goes to stderr; stdout is for real_loop.py alone.
    with os.fdopen(os.dup(1), "w") as kept:
        os.dup2(2, 1)
        packages, asked = sys.argv[1], json.loads(sys.argv[2])
        sys.path.append(packages)  # last: the tracker's own environment comes first
        asked["place"] = Path(asked["place"])
        print(json.dumps(main(**asked)), file=kept, flush=True)
