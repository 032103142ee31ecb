"""Yesterday's model was good, today's is worse: what changed between the two runs?

    python what_made_it_worse.py

Fits the demand of a bakery twice. Between the two fits five things change at once, as it happens in life: a line of
the configuration, the commit, a variable of the environment, the data, and with them the model file. Contexta lists
all of them beside the metrics that moved.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from contexta import Contexta

PROJECT = "bakery-demand"
DAYS = 400


def demand(*, holidays_known: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return features (DAYS, 4) and loaves sold (DAYS,). Without the holiday calendar one column is all zero."""
    random = np.random.default_rng(11)
    temperature = 12 + 9 * np.sin(np.arange(DAYS) / 58) + random.normal(size=DAYS)
    weekend = (np.arange(DAYS) % 7 >= 5).astype(float)
    holiday = (random.random(DAYS) < 0.06).astype(float)
    sold = 210 - 2.5 * temperature + 60 * weekend - 120 * holiday + random.normal(scale=6, size=DAYS)
    return np.column_stack([np.ones(DAYS), temperature, weekend, holiday * holidays_known]), sold


def train(ctx: Contexta, name: str, *, config: dict[str, Any], revision: str, dataset: str, threads: str) -> None:
    """Fit ridge regression on the first 300 days and test it on the last 100."""
    os.environ["OMP_NUM_THREADS"] = threads  # one of the variables whose values are recorded
    rows, sold = demand(holidays_known=config["calendar"] is not None)
    with ctx.run(name, config_snapshot=config, code_revision=revision, dataset_ref=dataset) as run:
        with run.stage("prepare") as stage:
            stage.log({"rows": len(rows), "columns_in_use": int(rows.any(axis=0).sum())})
        with run.stage("train") as stage:
            inside, target = rows[:300], sold[:300]
            weights = np.linalg.solve(inside.T @ inside + config["ridge"] * np.eye(4), inside.T @ target)
            stage.metric("mae", float(np.abs(inside @ weights - target).mean()), unit="loaves")
            path = Path(f"{name}-weights.npy")
            np.save(path, weights)
            stage.register_artifact("model", path)
        with run.stage("evaluate") as stage:
            wrong = np.abs(rows[300:] @ weights - sold[300:])
            stage.metric("mae", float(wrong.mean()), unit="loaves")
            stage.metric("worst_day", float(wrong.max()), unit="loaves")


def answer(ctx: Contexta) -> None:
    """Print what became worse, and everything that is not the same."""
    found = ctx.compare_runs("yesterday", "today")
    print(f"From yesterday to today: {found.summary}\n\nWhat the numbers did:")
    for stage in found.stage_comparisons:
        for each in stage.metric_deltas:
            if each.delta:
                ratio = f"{each.change_ratio:+.0%}" if each.change_ratio is not None else "new"
                values = f"{each.left_value:.2f} -> {each.right_value:.2f}"
                print(f"  {stage.stage_name:<9} {each.metric_key:<15} {values} {each.unit or ''} ({ratio})")

    origins: dict[str, Any] = dict(found.provenance_comparison or {})
    print("\nWhat was not the same:")
    for name in ("code_revision", "dataset_ref"):
        if name in origins:
            print(f"  {name}: {origins[name]['left']} -> {origins[name]['right']}")
    for name, sides in origins.get("config", {}).items():
        print(f"  config {name}: {sides['left']} -> {sides['right']}")
    environments = ctx.compare_environments("yesterday", "today")
    for name, (before, after) in environments.changed_variables.items():
        print(f"  environment {name}: {before} -> {after}")
    print(f"  packages: {len(environments.changed_packages)} changed")
    for change in found.artifact_changes:
        print(f"  artifact {change.artifact_kind}: {change.change} ({change.change_detail})")

    earliest = next(stage for stage in found.stage_comparisons if any(each.delta for each in stage.metric_deltas))
    first = next(each for each in earliest.metric_deltas if each.delta)
    print(f"\nThe first stage whose numbers moved is {earliest.stage_name}: {first.metric_key} went from "
          f"{first.left_value:g} to {first.right_value:g}.")


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        train(
            ctx, "yesterday", config={"ridge": 1.0, "calendar": "holidays-2025"}, revision="4be1f07",
            dataset="dataset:sales.week-31", threads="1",
        )  # fmt: skip
        train(
            ctx, "today", config={"ridge": 0.5, "calendar": None}, revision="9d20c3a",
            dataset="dataset:sales.week-32", threads="2",
        )  # fmt: skip
        answer(ctx)


if __name__ == "__main__":
    main()
