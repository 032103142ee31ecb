"""Which of my eight experiments was best, and by how much is that more than luck?

    python best_of_eight.py

Trains eight classifiers of wines, each by five-fold cross-validation: every fold is a batch of the stage `validate`.
Then asks which one won, how large its lead is next to the spread of its folds, and whether another measure agrees.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from contexta import Contexta

PROJECT = "wine-models"
CANDIDATES: dict[str, Any] = {
    "neighbours": KNeighborsClassifier(5),
    "neighbours-scaled": make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
    "bayes": GaussianNB(),
    "stump": DecisionTreeClassifier(max_depth=1, random_state=0),
    "tree": DecisionTreeClassifier(max_depth=5, random_state=0),
    "forest": RandomForestClassifier(20, random_state=0),
    "logistic-scaled": make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
    "svm-scaled": make_pipeline(StandardScaler(), SVC(C=0.01)),
}


def experiment(ctx: Contexta, name: str, model: Any, rows: np.ndarray, classes: np.ndarray) -> None:
    """Validate one model and capture it. rows: (178, 13); classes: (178,)."""
    folds = StratifiedKFold(5, shuffle=True, random_state=1)
    config = {"model": str(model)}
    with ctx.run(name, config_snapshot=config, dataset_ref="dataset:wine.uci") as run, run.stage("validate") as stage:
        accuracies, losses, began = [], [], time.perf_counter()
        for number, (train, test) in enumerate(folds.split(rows, classes)):
            with stage.batch(f"fold-{number}") as fold:
                model.fit(rows[train], classes[train])
                accuracies.append(float(model.score(rows[test], classes[test])))
                fold.metric("fold_accuracy", accuracies[-1], step=number)
                if hasattr(model, "predict_proba"):
                    losses.append(float(log_loss(classes[test], model.predict_proba(rows[test]))))
        stage.metric("accuracy", float(np.mean(accuracies)))
        stage.metric("fit_seconds", time.perf_counter() - began, unit="s")
        if losses:
            stage.metric("log_loss", float(np.mean(losses)))


def answer(ctx: Contexta) -> None:
    """Print the table, the winner, and whether its lead is worth anything."""
    runs = [run.run_id for run in ctx.list_runs(PROJECT)]
    table = {row.metric_key: row for row in ctx.compare_multiple_runs(runs).metric_table}
    ranking = sorted(runs, key=lambda run: -(table["accuracy"].values[run] or 0.0))
    names = {run.run_id: run.name for run in ctx.list_runs(PROJECT)}
    print(f"{'experiment':<18} accuracy  log loss")
    for run in ranking:
        loss = table["log_loss"].values[run]
        shown = "-" if loss is None else f"{loss:.3f}"
        print(f"{names[run]:<18} {table['accuracy'].values[run]:8.3f} {shown:>9}")

    best = ctx.select_best_run(runs, "accuracy", stage_name="validate")
    second = next(run for run in ranking if run != best)
    (folds,) = ctx.list_series(best, metric_key="fold_accuracy")
    (delta,) = [
        each
        for stage in ctx.compare_runs(second, best).stage_comparisons
        for each in stage.metric_deltas
        if each.metric_key == "accuracy"
    ]
    print(f"\nThe best of {len(runs)} is {names[best]}: accuracy {delta.right_value:.3f}.")
    print(f"It leads {names[second]} by {delta.delta:.3f}; its {folds.count} folds lie between {folds.min:.3f} and "
          f"{folds.max:.3f} (standard deviation {folds.std:.3f}).")
    assert delta.delta is not None and folds.std is not None
    if delta.delta < folds.std:
        print("The lead is smaller than the spread of the folds: do not choose between the two by accuracy alone.")
    surest = table["log_loss"].best_run_id
    assert surest is not None
    print(f"By log loss the best is {names[surest]} ({table['log_loss'].values[surest]:.3f}).")


def main() -> None:
    rows, classes = load_wine(return_X_y=True)
    with Contexta(config={"project_name": PROJECT}) as ctx:
        for name, model in CANDIDATES.items():
            experiment(ctx, name, model, rows, classes)
        answer(ctx)


if __name__ == "__main__":
    main()
