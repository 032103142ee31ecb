"""The pipeline was green all night, yet the table is empty: which stage silently produced nothing?

    python stage_that_produced_nothing.py

Two nights of a weather pipeline. In the second the stations report in millimetres instead of centimetres, so that a
plausibility filter drops every row. Nothing raises: each stage completes. Contexta knows which stage left no metric
and which file has no byte, and what the same stage did the night before.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contexta import Contexta

PROJECT = "rain-pipeline"
MAX_RAIN_CM = 30.0


def measure(*, millimetres: bool) -> np.ndarray:
    """Return 500 readings of rain. Nobody told the pipeline about the new unit."""
    readings = np.random.default_rng(3).gamma(4.0, 2.0, size=500) + 3.5
    return readings * 10 if millimetres else readings


def night(ctx: Contexta, name: str, readings: np.ndarray) -> None:
    """Run the pipeline. Its loops are written as such loops are: over no rows they simply do nothing."""
    with ctx.run(name) as run:
        with run.stage("load") as stage:
            stage.metric("rows", len(readings))
        with run.stage("plausible") as stage:
            kept = [float(each) for each in readings if each < MAX_RAIN_CM]
            for number, start in enumerate(range(0, len(kept), 100)):
                part = kept[start : start + 100]
                stage.log({"part_rows": len(part), "part_mean": float(np.mean(part))}, step=number)
            lines = Path(f"{name}-rain.csv")
            lines.write_text("".join(f"{each:.2f}\n" for each in kept), encoding="utf-8")
            stage.register_artifact("table", lines)
        with run.stage("publish") as stage:
            text = lines.read_text(encoding="utf-8").split()
            stage.metric("published_rows", len(text))


def answer(ctx: Contexta, name: str, before: str) -> None:
    """Print the suspicious stages of a run, each beside the same stage of an earlier run."""
    stages = {stage.stage_id: stage for stage in ctx.list_stages(name)}
    print(f"{name}: " + ", ".join(f"{stage.name} {stage.status}" for stage in stages.values()))
    silent = [each for each in ctx.diagnose_run(name).issues if each.code == "missing_stage_metrics"]
    for issue in silent:
        stage = stages[issue.subject_ref or ""]
        usual = ctx.list_series(before, stage_name=stage.name)
        print(f"  {issue.summary}")
        print(f"  In {before} it had {sum(each.count for each in usual)} points of "
              f"{', '.join(each.metric_key for each in usual)}.")
        for artifact in ctx.list_artifacts(name):
            if artifact.stage_id == stage.stage_id:
                (earlier,) = [each for each in ctx.list_artifacts(before) if each.kind == artifact.kind]
                print(f"  Its {artifact.kind} has {artifact.size_bytes} bytes; it had {earlier.size_bytes} then.")
    if not silent:
        print("  every stage produced something")


def follow(ctx: Contexta, name: str, before: str) -> None:
    """Print where the rows went: the sum of each count, stage by stage, in both runs."""
    print("\nRows on their way:")
    rows = {
        run: {s.stage_name: s.count * (s.mean or 0.0) for s in ctx.list_series(run) if s.metric_key.endswith("rows")}
        for run in (before, name)
    }
    for stage, count in rows[before].items():
        print(f"  {stage:<10} {count:4.0f} in {before}, {rows[name].get(stage, 0.0):4.0f} in {name}")


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        night(ctx, "tuesday", measure(millimetres=False))
        night(ctx, "wednesday", measure(millimetres=True))
        answer(ctx, "tuesday", before="tuesday")
        answer(ctx, "wednesday", before="tuesday")
        follow(ctx, "wednesday", before="tuesday")


if __name__ == "__main__":
    main()
