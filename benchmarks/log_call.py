"""What one log() of 100 metrics costs the caller."""

from __future__ import annotations

import harness
from harness import Report, percentile, time_calls, us
from yardsticks import JsonLines


def measure(report: Report, quick: bool) -> None:
    count = 2_000 if quick else 20_000
    table = report.table(f"{count:,} calls of each", "metrics a call", "what", "p50", "p99", "p99.9", "max")
    with harness.workspace() as (ctx, _), harness.folder() as place:
        run = harness.warm_up(ctx)
        lines = JsonLines(place / "lines")
        for width in (10, 100, 1000):
            values = {f"layer{index}/norm": index / 7 for index in range(width)}
            calls = max(100, count * 10 // width if width > 10 else count)
            p50s = {}
            for name, call in (
                ("json line", lambda step, values=values: lines.log(values, step)),
                ("log()", lambda step, values=values: run.log(values, step=step)),
            ):
                time_calls(call, 100)
                ctx.flush(60)
                taken = time_calls(call, min(calls, count))
                p50s[name] = percentile(taken, 50)
                tail = us(percentile(taken, 99)), us(percentile(taken, 99.9)), us(max(taken) / 1000)
                table.add(width, name, us(p50s[name]), *tail)
            if width == 100:
                report.goal("log() of 100 metrics, p50", "10 us", us(p50s["log()"]), p50s["log()"] <= 10)
                report.remarks.append(f"A json line took {p50s['json line'] / p50s['log()']:.1f} times as long.")
        lines.finish()


if __name__ == "__main__":
    harness.main(
        measure, name="log_call", title="log() of many metrics", what="The time until log() comes back, call by call."
    )
