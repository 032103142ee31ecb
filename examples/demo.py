"""Four worker processes train a model at three learning rates; what they captured is then asked for and drawn.

    make demo

Each worker trains softmax regression by SGD on its own part of generated data. Leaves demo-out/report.html (one page,
no other files) and the workspace demo-out/.contexta, to try the command line on.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
from report_page import Curve, write_report

from contexta import Contexta

OUT = Path("demo-out")
WORKSPACE = OUT / ".contexta"
PROJECT = "demo-blobs"
WORKERS = 4
LEARNING_RATES = {"bold": 0.5, "steady": 0.05, "timid": 0.005}  # run name to rate
EPOCHS, BATCH_ROWS, CLASSES, FEATURES = 4, 32, 5, 20


def generate(rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (2048, FEATURES) around one centre a class, and their classes (2048,); other rows for each rank."""
    centres = np.random.default_rng(7).normal(size=(CLASSES, FEATURES))
    random = np.random.default_rng(100 + rank)
    labels = random.integers(CLASSES, size=2048)
    return centres[labels] + random.normal(scale=2.2, size=(2048, FEATURES)), labels


def train(rank: int) -> None:
    """One worker: every learning rate in turn. CONTEXTA_RANK and CONTEXTA_JOB_ID tell the capture who it is."""
    rows, labels = generate(rank)
    train_rows, test_rows = rows[:1536], rows[1536:]
    train_labels, test_labels = labels[:1536], labels[1536:]
    with Contexta(workspace=WORKSPACE, config={"project_name": PROJECT}) as ctx:
        for name, rate in LEARNING_RATES.items():
            weights = np.zeros((FEATURES, CLASSES))
            order = np.random.default_rng(rank)
            with ctx.run(name, metadata={"learning_rate": rate}) as run:
                with run.stage("train") as stage:
                    step = 0
                    for _ in range(EPOCHS):
                        for chosen in order.permutation(len(train_rows)).reshape(-1, BATCH_ROWS):
                            x, y = train_rows[chosen], train_labels[chosen]
                            scores = x @ weights
                            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
                            probabilities = scores / scores.sum(axis=1, keepdims=True)
                            loss = -np.log(probabilities[np.arange(len(y)), y] + 1e-12).mean()
                            accuracy = (probabilities.argmax(axis=1) == y).mean()
                            stage.log({"loss": float(loss), "accuracy": float(accuracy)}, step=step)
                            probabilities[np.arange(len(y)), y] -= 1
                            weights -= rate * (x.T @ probabilities) / len(y)
                            step += 1
                with run.stage("evaluate") as stage:
                    found = (test_rows @ weights).argmax(axis=1)
                    stage.metric("test_accuracy", float((found == test_labels).mean()), step=step)
                    path = OUT / "models" / f"{name}-rank{rank}.npy"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    np.save(path, weights)
                    stage.register_artifact("model", str(path))


def run_workers() -> None:
    """Start the workers as processes of one job and wait for them."""
    context = multiprocessing.get_context("spawn")
    os.environ.update(CONTEXTA_JOB_ID=uuid.uuid4().hex, CONTEXTA_WORLD_SIZE=str(WORKERS), OMP_NUM_THREADS="1")
    workers = []
    for rank in range(WORKERS):
        os.environ["CONTEXTA_RANK"] = str(rank)  # inherited by the process that starts now
        worker = context.Process(target=train, args=(rank,))
        worker.start()
        workers.append(worker)
    for name in ("CONTEXTA_JOB_ID", "CONTEXTA_WORLD_SIZE", "CONTEXTA_RANK"):
        os.environ.pop(name)
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit(f"a worker failed: {[worker.exitcode for worker in workers]}")


def command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `contexta` on the demo's workspace."""
    command = [sys.executable, "-m", "contexta_client.cli", "--workspace", str(WORKSPACE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def start_afresh() -> None:
    """Remove what an earlier demo left; its daemon is asked to stop before."""
    if WORKSPACE.exists():
        command_line("daemon", "stop")
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()


def ask() -> tuple[list[Curve], list[tuple[str, int, float, float, float]]]:
    """Return the loss curves, and a row (run, rank, loss, accuracy, test accuracy) for each run and worker."""
    curves, rows = [], []
    with Contexta(workspace=WORKSPACE, config={"project_name": PROJECT}) as ctx:
        for run in sorted(ctx.list_runs(PROJECT), key=lambda run: run.name):
            loss = ctx.get_step_series(run.run_id, "loss", stage_name="train")
            accuracy = ctx.get_step_series(run.run_id, "accuracy", stage_name="train")
            test = ctx.get_step_series(run.run_id, "test_accuracy", stage_name="evaluate")
            for rank in sorted(set(loss.ranks.tolist())):
                mine = loss.ranks == rank
                curves.append(Curve(run.name, rank, loss.steps[mine].tolist(), loss.values[mine].tolist()))
                last_accuracy = accuracy.values[accuracy.ranks == rank][-20:].mean()
                tested = test.values[test.ranks == rank][-1]
                rows.append((run.name, rank, curves[-1].last(), float(last_accuracy), float(tested)))
    return curves, rows


def main() -> None:
    start_afresh()
    began = time.perf_counter()
    print(f"Training: {len(LEARNING_RATES)} runs, {WORKERS} worker processes ...", flush=True)
    run_workers()
    print(f"Trained and captured in {time.perf_counter() - began:.1f} s.\n")
    listed = command_line("runs")
    print(f"$ contexta --workspace {WORKSPACE} runs")
    print(listed.stdout.rstrip() or listed.stderr.rstrip())
    curves, rows = ask()
    print("\nAt the end, by run and worker (training: mean of the last 20 steps)\n")
    print(f"{'run':<10} {'rank':>4} {'loss':>8} {'accuracy':>9} {'test accuracy':>14}")
    for name, rank, loss, accuracy, tested in rows:
        print(f"{name:<10} {rank:>4} {loss:>8.4f} {accuracy:>9.3f} {tested:>14.3f}")
    page = OUT / "report.html"
    write_report(page, PROJECT, curves, rows)
    print(f"\nOpen {page} in a browser, or try: .venv/bin/contexta --workspace {WORKSPACE} run show steady")


if __name__ == "__main__":
    main()
