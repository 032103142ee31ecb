"""What a training loop pays: the same numpy loop with and without capture, in turns, at three rates."""

from __future__ import annotations

import statistics
import time

import harness
import numpy as np
from harness import Report


def _train(matrix: np.ndarray, steps: int, size: int) -> float:
    """The work between two metrics: `size` small matrix products a step."""
    total = 0.0
    for _ in range(steps):
        state = matrix
        for _ in range(size):
            state = np.tanh(state @ matrix)
        total += float(state[0, 0])
    return total


def _train_captured(matrix: np.ndarray, steps: int, size: int, metric: object) -> float:
    total = 0.0
    for step in range(steps):
        state = matrix
        for _ in range(size):
            state = np.tanh(state @ matrix)
        loss = float(state[0, 0])
        total += loss
        metric("loss", loss, step=step)  # type: ignore[operator]
    return total


def measure(report: Report, quick: bool) -> None:
    rounds, slice_s = (12, 0.1) if quick else (60, 0.3)
    table = report.table(
        f"{rounds} pairs of {slice_s} s each, with and without in turns; ratios by the wall clock, and by the thread's "
        "own CPU time, which leaves out what other processes took",
        "metrics a second", "without", "with", "median ratio", "its quartiles", "CPU ratio", "its quartiles ",
    )  # fmt: skip
    matrix = np.random.default_rng(1).normal(size=(24, 24)) / 10
    _train(matrix, 100, 10)
    product_s = min(harness.seconds(lambda: _train(matrix, 200, 10)) for _ in range(5)) / 2000
    with harness.workspace() as (ctx, _):
        run = harness.warm_up(ctx)
        for rate in (100, 1_000, 10_000):
            size = max(1, round(1 / rate / product_s))
            steps = max(2, round(slice_s * rate))
            pairs = [_pair(matrix, steps, size, run.metric, first=number % 2) for number in range(rounds)]
            walls = [captured[0] / plain[0] for plain, captured in pairs]
            cpus = [captured[1] / plain[1] for plain, captured in pairs]
            plain_s, captured_s = (statistics.median(pair[which][0] for pair in pairs) for which in (0, 1))
            table.add(
                f"{steps / captured_s:,.0f}", f"{plain_s * 1e3:.1f} ms", f"{captured_s * 1e3:.1f} ms",
                *_told(walls), *_told(cpus),
            )  # fmt: skip
            if rate == 10_000:
                _goal(report, "by the wall clock", walls)
                _goal(report, "by its CPU time", cpus)
    report.remarks.append("Sender and daemon work at the same time on the same machine, at lower priority.")


def _pair(matrix: np.ndarray, steps: int, size: int, metric: object, *, first: int) -> list[tuple[float, float]]:
    """Return wall and CPU seconds without capture and with it, taken one after the other, `first` before."""
    taken = [(0.0, 0.0), (0.0, 0.0)]
    for which in (first, 1 - first):
        began, cpu = time.perf_counter(), time.thread_time()
        if which:
            _train_captured(matrix, steps, size, metric)
        else:
            _train(matrix, steps, size)
        taken[which] = time.perf_counter() - began, time.thread_time() - cpu
    return taken


def _told(ratios: list[float]) -> tuple[str, str]:
    low, median, high = statistics.quantiles(ratios, n=4)
    return f"{(median - 1) * 100:+.2f} %", f"{(low - 1) * 100:+.2f} % to {(high - 1) * 100:+.2f} %"


def _goal(report: Report, how: str, ratios: list[float]) -> None:
    """Judge a median together with its own uncertainty, so that a noisy machine reaches nothing by luck."""
    median = (statistics.median(ratios) - 1) * 100
    low, _, high = statistics.quantiles(ratios, n=4)
    error = 1.25 * (high - low) / 1.35 * 100 / len(ratios) ** 0.5  # of the median of a normal distribution
    reached = median + error <= 0.5
    report.goal(f"a loop at 10,000 metrics/s pays, {how}", "0.5 %", f"{median:.2f} % +- {error:.2f}", reached)


if __name__ == "__main__":
    harness.main(
        measure, name="loop_overhead", title="What a training loop pays", what="A numpy loop with and without."
    )
