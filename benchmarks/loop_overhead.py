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
        f"{rounds} pairs of {slice_s} s each, with and without in turns",
        "metrics a second", "without (median)", "with (median)", "median ratio", "quartiles of the ratio",
    )  # fmt: skip
    matrix = np.random.default_rng(1).normal(size=(24, 24)) / 10
    _train(matrix, 100, 10)
    product_s = min(harness.seconds(lambda: _train(matrix, 200, 10)) for _ in range(5)) / 2000
    with harness.workspace() as (ctx, _):
        run = harness.warm_up(ctx)
        for rate in (100, 1_000, 10_000):
            size = max(1, round(1 / rate / product_s))
            steps = max(2, round(slice_s * rate))
            ratios, plain, captured = [], [], []
            for number in range(rounds):
                pair = [0.0, 0.0]
                for which in (0, 1) if number % 2 else (1, 0):
                    began = time.perf_counter()
                    if which:
                        _train_captured(matrix, steps, size, run.metric)
                    else:
                        _train(matrix, steps, size)
                    pair[which] = time.perf_counter() - began
                plain.append(pair[0])
                captured.append(pair[1])
                ratios.append(pair[1] / pair[0])
            median = statistics.median(ratios)
            low, _, high = statistics.quantiles(ratios, n=4)
            spread = f"{(low - 1) * 100:+.2f} % to {(high - 1) * 100:+.2f} %"
            real = steps / statistics.median(captured)
            table.add(
                f"{real:,.0f}", f"{statistics.median(plain) * 1e3:.1f} ms",
                f"{statistics.median(captured) * 1e3:.1f} ms", f"{(median - 1) * 100:+.2f} %", spread,
            )  # fmt: skip
            if rate == 10_000:
                report.goal("a loop at 10,000 metrics/s pays", "0.5 %", f"{(median - 1) * 100:.2f} %", median <= 1.005)
    report.remarks.append("Sender and daemon work at the same time on the same machine, at lower priority.")


if __name__ == "__main__":
    harness.main(
        measure, name="loop_overhead", title="What a training loop pays", what="A numpy loop with and without."
    )
