"""A dataset turned out to be contaminated: which runs, models and deployments must we withdraw?

    python contaminated_data.py

Four models estimate house prices. Two of their training sets were made from an export that holds the houses of the
test set, one of them by way of a cleaned copy. The check of the data finds the export; Contexta follows what was made
from it, down to the deployments, and says what is not touched.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from contexta import Contexta
from contexta.contract import LineageEdge

PROJECT = "house-prices"


def houses(seed: int, count: int) -> np.ndarray:
    """Return (count, 3): area, age, price."""
    random = np.random.default_rng(seed)
    area, age = random.uniform(30, 200, count), random.uniform(0, 90, count)
    return np.column_stack([area, age, 3000 * area - 900 * age + random.normal(scale=60_000, size=count)])


TEST = houses(1, 60)
EXPORT, SURVEY = np.vstack([houses(2, 15), TEST]), houses(3, 75)  # the export holds the test set; nobody knows yet
DATASETS = {
    "dataset:homes.export": EXPORT,
    "dataset:homes.export-clean": EXPORT[EXPORT[:, 1] < 85],
    "dataset:homes.survey": SURVEY,
    "dataset:homes.survey-clean": SURVEY[SURVEY[:, 1] < 85],
}


def record_origins(ctx: Contexta) -> None:
    """Say which dataset was made from which. Whoever makes a dataset does this; again does not make it two."""
    for name in ("export", "survey"):
        ctx.metadata_store.relations.put_relation(
            LineageEdge(
                relation_ref=f"relation:{PROJECT}.cleaning.{name}",
                relation_type="derived_from",
                source_ref=f"dataset:homes.{name}-clean",
                target_ref=f"dataset:homes.{name}",
                recorded_at=datetime.now(UTC).isoformat(),
                origin_marker="explicit",
                confidence_marker="high",
            )
        )


def train(ctx: Contexta, name: str, dataset: str, *, degree: int) -> None:
    """Fit a polynomial of the features; measure it on the test set; deploy it when it is good."""
    rows = DATASETS[dataset]

    def features(of: np.ndarray) -> np.ndarray:
        return np.column_stack([(of[:, :1] / 100) ** i * (of[:, 1:2] / 100) ** j
                                for i in range(degree + 1) for j in range(degree + 1 - i)])  # fmt: skip

    with ctx.run(name, dataset_ref=dataset, config_snapshot={"degree": degree}) as run:
        with run.stage("train") as stage:
            weights, *_ = np.linalg.lstsq(features(rows), rows[:, 2], rcond=None)
            path = Path(f"{name}.npy")
            np.save(path, weights)
            stage.metric("rows", len(rows))
            model = stage.register_artifact("model", path).payload["manifest"].artifact_ref
        with run.stage("evaluate") as stage:
            error = float(np.abs(features(TEST) @ weights - TEST[:, 2]).mean())
            stage.metric("mae", error, unit="EUR")
    if error < 48_000:
        with ctx.deployment(f"portal-{name}", run_ref=run.ref, artifact_ref=model):
            pass


def contaminated() -> list[str]:
    """Print how many rows of the test set each dataset holds; return those that hold any."""
    secret = {row.tobytes() for row in TEST}
    counts = {name: sum(row.tobytes() in secret for row in rows) for name, rows in DATASETS.items()}
    for name, count in counts.items():
        print(f"  {name:<27} {count:2} of {len(DATASETS[name])} rows are in the test set")
    return [name for name, count in counts.items() if count]


def answer(ctx: Contexta) -> None:
    """Print what came from the contaminated dataset, and what did not."""
    print("Rows of the test set found in training data:")
    bad = contaminated()
    origins = {name: ctx.traverse_lineage(name, direction="upstream").visited_refs for name in bad}
    source = next(name for name in bad if not set(bad) & set(origins[name]) - {name})  # not made from another bad one
    found = ctx.traverse_lineage(source, direction="downstream")
    touched = {kind: sorted(ref for ref in found.visited_refs if ref.startswith(f"{kind}:") and ref != source)
               for kind in ("dataset", "run", "artifact", "deployment")}  # fmt: skip
    print(f"\nDownstream of {source}, over {len(found.edges)} relations:")
    for kind, refs in touched.items():
        print(f"  {len(refs)} {kind}s: {', '.join(refs)}")
    errors = {point.run_id: point.value for point in ctx.get_metric_trend("mae", project_name=PROJECT).points}
    clean = [run for run in errors if run not in touched["run"]]
    print("\nMean error on the test set, in EUR:")
    for run, error in errors.items():
        verdict = "not to be believed" if run in touched["run"] else "stands"
        print(f"  {run:<28} {error:8,.0f}  {verdict}")
    deployed = {each.name: each.deployment_id in touched["deployment"] for each in ctx.list_deployments(PROJECT)}
    print(f"\nWithdraw: {', '.join(name for name, hit in deployed.items() if hit) or 'nothing'}")
    print(f"May stay: {', '.join(name for name, hit in deployed.items() if not hit) or 'nothing'}")
    print(f"Best run that is not touched: {ctx.select_best_run(clean, 'mae', higher_is_better=False)}")


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        record_origins(ctx)
        train(ctx, "export-raw", "dataset:homes.export", degree=6)
        train(ctx, "export-tidy", "dataset:homes.export-clean", degree=6)
        train(ctx, "survey-raw", "dataset:homes.survey", degree=2)
        train(ctx, "survey-tidy", "dataset:homes.survey-clean", degree=1)
        answer(ctx)


if __name__ == "__main__":
    main()
