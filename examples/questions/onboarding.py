"""A colleague joins tomorrow: what is this project, what was tried, what works, and where do they begin?

    python onboarding.py

A week of experiments with a forecast of bicycle rentals, one of which failed and one of which ran away to NaN.
Contexta says what there is: the runs, who did what and why, the metrics, the best, the traps; and writes a page.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from contexta import Contexta
from contexta.contract import Project
from contexta.interpretation import RunListQuery

PROJECT = "bike-rentals"
DATASET = "dataset:rentals.daily"


def rentals(days: int) -> np.ndarray:
    """Return bicycles rented on each day: seasons, weekends and rain."""
    random, day = np.random.default_rng(21), np.arange(days)
    season = 500 + 300 * np.sin((day - 80) / 58.1)
    rain = random.random(days) < 0.3
    rented: np.ndarray = season - 120 * (day % 7 >= 5) - 150 * rain + random.normal(0, 30, days)
    return rented.clip(min=0)


def forecast(ctx: Contexta, name: str, author: str, why: str, *, lags: tuple[int, ...], rate: float = 0.0) -> None:
    """Predict each day from earlier ones: least squares, or gradient descent where a rate is given."""
    rented = rentals(700)
    reach = max(lags)
    tags = {"author": author, "method": "descent" if rate else "least-squares"}
    config = {"lags": list(lags), "rate": rate}
    with ctx.run(name, tags=tags, metadata={"why": why}, config_snapshot=config, dataset_ref=DATASET) as run:
        with run.stage("prepare") as stage:
            rows = np.column_stack([rented[reach - lag : -lag] for lag in lags]) / 500
            target = rented[reach:] / 500
            stage.log({"rows": len(rows), "lags": len(lags)})
            if len(rows) < 365:
                stage.event("too-few-rows", message=f"{len(rows)} rows are left, a year is needed", level="error")
                raise ValueError(f"lags {lags} leave too few rows")
        with run.stage("train") as stage:
            weights: np.ndarray = np.zeros(len(lags))
            if rate:
                with np.errstate(all="ignore"):
                    for step in range(150):
                        wrong = rows[:500] @ weights - target[:500]
                        stage.metric("loss", float((wrong**2).mean()), step=step)
                        weights = weights - rate * rows[:500].T @ wrong
            else:
                weights, *_ = np.linalg.lstsq(rows[:500], target[:500], rcond=None)
                stage.metric("loss", float(((rows[:500] @ weights - target[:500]) ** 2).mean()), step=0)
        with run.stage("evaluate") as stage:
            stage.metric("mae", float(np.abs(rows[500:] @ weights - target[500:]).mean() * 500), unit="bicycles")


def week(ctx: Contexta) -> None:
    """What the team did so far."""
    ctx.metadata_store.projects.put_project(
        Project(
            project_ref=f"project:{PROJECT}", name=PROJECT, created_at="2025-03-03T08:00:00Z",
            description="How many bicycles each station needs tomorrow",
        )
    )  # fmt: skip
    forecast(ctx, "same-as-yesterday", "ines", "the simplest there is", lags=(1,))
    forecast(ctx, "same-weekday", "ines", "weekends differ", lags=(7,))
    forecast(ctx, "week-long", "tomas", "let it weigh a whole week", lags=(1, 2, 3, 4, 5, 6, 7))
    with contextlib.suppress(ValueError):  # the run keeps that it failed
        forecast(ctx, "year-ago", "tomas", "the season of last year", lags=(1, 7, 364))
    forecast(ctx, "week-descent", "ines", "as it would run on the device", lags=(1, 7), rate=0.0005)
    forecast(ctx, "week-descent-fast", "ines", "the same, faster", lags=(1, 7), rate=0.02)


def tell(ctx: Contexta) -> None:
    """Print the tour."""
    (project,) = [each for each in ctx.list_projects() if each.name == PROJECT]
    print(f"{project.name}: {project.description}. {project.run_count} runs: "
          + ", ".join(f"{count} {status}" for status, count in sorted(ctx.run_status_distribution(PROJECT).items())))
    errors = {point.run_id: point.value for point in ctx.get_metric_trend("mae", project_name=PROJECT).points}
    print("\nWhat was tried:")
    for run in ctx.list_runs(PROJECT):
        error = f"mae {errors[run.run_id]:.3g}" if run.run_id in errors else "no result"
        print(f"  {run.name:<18} by {run.tags['author']:<6} {run.metadata['why']:<30} {run.status:<10} {error}")
    completed = [run.run_id for run in ctx.list_runs(PROJECT, status="completed")]
    best = ctx.select_best_run(completed, "mae", higher_is_better=False)
    print(f"\nBegin with {best}: its error of {errors[best]:.1f} bicycles is the lowest of {len(errors)}.")
    print("\nTraps that others found:")
    for run in ctx.list_runs(PROJECT):
        for issue in ctx.diagnose_run(run.run_id).issues:
            if issue.severity != "info":
                print(f"  {run.name}: {issue.summary}")
        for record in ctx.record_store.scan(run_id=run.run_id, record_type="event"):
            if record.payload["level"] == "error":
                print(f"  {run.name}: {record.key}, {record.message}")
    by_method = {
        method: len(ctx.list_runs(query=RunListQuery(project_name=PROJECT, tags={"method": method})))
        for method in ("least-squares", "descent")
    }
    print(f"\nMethods: {by_method}. Runs about weekends: "
          + ", ".join(run.name for run in ctx.search_runs("weekends", project_name=PROJECT)))
    page = Path("welcome.html")
    page.write_text(ctx.build_project_summary_report(PROJECT).to_html(), encoding="utf-8")
    print(f"The same as a page: {page} ({page.stat().st_size // 1024} KiB, opens offline)")


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        week(ctx)
        tell(ctx)


if __name__ == "__main__":
    main()
