"""Four worker processes train a model at three learning rates; what they captured is then compared and reported.

    make demo

Each worker trains softmax regression by SGD on its own part of generated data. Leaves demo-out/report.html (the best
run beside the worst), demo-out/best.html (all about the best one), and the workspace demo-out/.contexta, to try the
command line on.
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
            with ctx.run(name, config_snapshot={"learning_rate": rate, "epochs": EPOCHS}) as run:
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


def ask() -> None:
    """Print which run was best, what differed from the worst, and what is wrong; write the reports."""
    with Contexta(workspace=WORKSPACE, config={"project_name": PROJECT}) as ctx:
        runs = [run.run_id for run in ctx.list_runs(PROJECT)]
        best = ctx.select_best_run(runs, "test_accuracy", policy="mean")  # the mean over the workers
        worst = ctx.select_best_run(runs, "test_accuracy", policy="mean", higher_is_better=False)
        print(f"\nBest by test accuracy: {best}; worst: {worst}. From worst to best:\n")
        compared = ctx.compare_runs(worst, best, policy="mean")
        for stage in compared.stage_comparisons:
            for each in stage.metric_deltas:
                values = f"{each.left_value:.3f} -> {each.right_value:.3f}"
                print(f"  {stage.stage_name:<9} {each.metric_key:<14} {values}  ({each.delta:+.3f})")
        for name, sides in compared.provenance_comparison["config"].items():
            print(f"  {'config':<9} {name:<14} {sides['left']} -> {sides['right']}")
        ranks = ctx.aggregate_by_rank(best, "test_accuracy")
        print("\nTest accuracy of the best run by worker: " +
              ", ".join(f"rank {rank} {found.mean:.3f}" for rank, found in sorted(ranks.items())))
        issues = ctx.diagnose_run(best).issues
        print(f"Issues of the best run: {', '.join(issue.code for issue in issues) or 'none'}")
        (OUT / "report.html").write_text(ctx.build_run_report(worst, best).to_html(), encoding="utf-8")
        (OUT / "best.html").write_text(ctx.build_snapshot_report(best).to_html(), encoding="utf-8")


def main() -> None:
    start_afresh()
    began = time.perf_counter()
    print(f"Training: {len(LEARNING_RATES)} runs, {WORKERS} worker processes ...", flush=True)
    run_workers()
    print(f"Trained and captured in {time.perf_counter() - began:.1f} s.\n")
    listed = command_line("runs")
    print(f"$ contexta --workspace {WORKSPACE} runs")
    print(listed.stdout.rstrip() or listed.stderr.rstrip())
    ask()
    print(f"\nOpen {OUT / 'report.html'} and {OUT / 'best.html'} in a browser, or try:\n")
    for line in ("run show steady", "compare timid bold", "trend test_accuracy", 'sql "select * from runs"'):
        print(f"  .venv/bin/contexta --workspace {WORKSPACE} {line}")


if __name__ == "__main__":
    main()
