"""The nightly job never failed, but something feels off: which night was weak, and in what?

    python weak_night.py

Twelve nights of a job that matches invoices with payments. It always completes. In one night the bank sent half of
its file, without a word. Contexta draws the trend, compares each night with all others, and names what stands out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contexta import Contexta
from contexta.interpretation import RunListQuery

PROJECT = "nightly-matching"
NIGHTS = 12
HALF_FILE = 8  # the night in which the bank was cut short


def night(ctx: Contexta, number: int) -> None:
    """Match one night's invoices with payments by amount and day."""
    random = np.random.default_rng(number)
    invoices = random.integers(1, 5_000_000, size=int(random.integers(1900, 2100)))  # cents
    paid = invoices[random.random(len(invoices)) < 0.93]
    payments = random.permutation(paid)
    if number == HALF_FILE:
        payments = payments[: len(payments) // 2]
    with ctx.run(f"night-{number:02}", tags={"job": "matching"}) as run:
        with run.stage("read") as stage:
            stage.log({"invoices": len(invoices), "payments": len(payments)})
        with run.stage("match") as stage:
            for part, start in enumerate(range(0, len(invoices), 500)):
                with stage.batch(f"part-{part}") as batch:
                    found = np.isin(invoices[start : start + 500], payments)
                    batch.metric("part_matched", float(found.mean()), step=part)
            matched = np.isin(invoices, payments)
            stage.metric("matched_share", float(matched.mean()))
            stage.metric("open_amount", float(invoices[~matched].sum() / 100), unit="EUR")
            stage.metric("mean_amount", float(invoices.mean() / 100), unit="EUR")


def draw(ctx: Contexta) -> None:
    """Print the trend of the matched share, a bar for each night."""
    trend = ctx.get_metric_trend("matched_share", project_name=PROJECT, stage_name="match")
    lengths = {each.run_id: each.value for each in ctx.get_stage_duration_trend("match", project_name=PROJECT).points}
    print("Share of invoices that were matched:")
    for point in trend.points:
        bar = "#" * round(point.value * 40)
        print(f"  {point.run_name}  {point.value:6.1%}  {bar:<40}  took {lengths[point.run_id] * 1000:.1f} ms")
    usual = ctx.aggregate_metric("matched_share", project_name=PROJECT)
    print(f"  median {usual.p50:.1%}, lowest {usual.min:.1%}, over {usual.count} nights\n")


def name_the_weak(ctx: Contexta) -> None:
    """Print what stands out in each night, next to all other nights."""
    runs = ctx.list_runs(query=RunListQuery(project_name=PROJECT, name_contains="night-"))
    weak = 0
    for run in runs:
        others = [each.run_id for each in runs if each.run_id != run.run_id]
        found = [each for each in ctx.detect_anomalies(run.run_id, baseline_run_ids=others, threshold=4.0)
                 if each.is_anomaly]  # fmt: skip
        if not found:
            continue
        weak += 1
        print(f"{run.name} ({run.status}) is unlike the other {found[0].baseline_count}:")
        for each in found:
            side = "below" if each.value < each.baseline_mean else "above"
            print(f"  {each.stage_name:<6} {each.metric_key:<14} {each.value:12,.2f}, usual {each.baseline_mean:12,.2f}"
                  f" ({abs(each.score):.0f} deviations {side})")
        in_order = [stage.name for stage in ctx.list_stages(run.run_id)]
        earliest = min(found, key=lambda each: in_order.index(each.stage_name or ""))
        print(f"  It begins in stage {earliest.stage_name}, with {earliest.metric_key}; what follows is its echo.")
    print(f"\n{len(runs)} nights, {ctx.run_status_distribution(PROJECT)}, {weak} of them weak")


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        for number in range(1, NIGHTS + 1):
            night(ctx, number)
        draw(ctx)
        name_the_weak(ctx)
        report = ctx.build_trend_report("matched_share", project_name=PROJECT)
        Path("matched-share.html").write_text(report.to_html(), encoding="utf-8")
        print("The trend as a page: matched-share.html")


if __name__ == "__main__":
    main()
