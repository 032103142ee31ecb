"""May this candidate be deployed? A gate for continuous integration.

    python gate_before_deployment.py            # trains two candidates, shows both verdicts, exits 0
    python gate_before_deployment.py CANDIDATE  # only asks about one that was trained before; exits 1 when refused

Two candidates tell apart handwritten digits. The rules are written once: accuracy, the weakest class, the time to
answer. The fast candidate, which looks at the upper part of each picture alone, is good enough on average, but it
neglects one digit.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score

from contexta import Contexta
from contexta.interpretation import AlertRule

PROJECT = "digit-reader"
RULES = (
    AlertRule("accuracy", "lt", 0.87, stage_name="evaluate", severity="error", name="too many digits wrong"),
    AlertRule("weakest_recall", "lt", 0.85, stage_name="evaluate", severity="error", name="one digit is neglected"),
    AlertRule("answer_ms", "gt", 50.0, stage_name="evaluate", severity="error", name="too slow"),
    AlertRule("overfit", "gt", 0.05, stage_name="evaluate", severity="warning", name="learned by heart"),
)


def train(ctx: Contexta, name: str, *, pixels: int, c: float) -> None:
    """Train on the first `pixels` of each picture's 64, and measure what the rules ask for."""
    pictures, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    pictures, digits = pictures[order, :pixels] / 16, digits[order]
    with ctx.run(name, config_snapshot={"pixels": pixels, "c": c}, dataset_ref="dataset:digits.8x8") as run:
        with run.stage("train") as stage:
            model = LogisticRegression(C=c, max_iter=200).fit(pictures[:1200], digits[:1200])
            inside = float(model.score(pictures[:1200], digits[:1200]))
            stage.metric("accuracy", inside)
            path = Path(f"{name}.npy")
            np.save(path, model.coef_)
            stage.register_artifact("model", path)
        with run.stage("evaluate") as stage:
            began = time.perf_counter()
            said = model.predict(pictures[1200:])
            answer_ms = (time.perf_counter() - began) * 1000 / len(said)
            accuracy = float((said == digits[1200:]).mean())
            recalls = recall_score(digits[1200:], said, average=None)
            for digit, recall in enumerate(recalls):
                stage.metric("recall", float(recall), step=digit)
            stage.log({"accuracy": accuracy, "weakest_recall": float(recalls.min()), "overfit": inside - accuracy})
            stage.metric("answer_ms", answer_ms, unit="ms")


def gate(ctx: Contexta, name: str) -> int:
    """Print the verdict on a run; return the exit status: 0 it may pass, 1 it must not."""
    report = ctx.evaluate_alerts(name, RULES)
    # A metric that is missing raises no alert, and yet nothing was shown: a gate must not take that for a pass.
    missing = [each for each in report.results if each.value is None]
    against = [each for each in report.triggered if each.rule.severity == "error"]
    broken = [issue for issue in ctx.diagnose_run(name).issues if issue.severity == "error"]
    print(f"{name}:")
    for each in report.results:
        mark = "missing" if each in missing else each.rule.severity if each.triggered else "ok"
        value = "nothing" if each.value is None else f"{each.value:.3g}"
        print(f"  {mark:<8} {each.rule.metric_key:<15} {value}")
    for each in against:
        print(f"  refused because: {each.rule.name}")
    for issue in broken:
        print(f"  refused because: {issue.summary}")
    if any(each.rule.metric_key == "weakest_recall" for each in against):
        series = ctx.get_step_series(name, "recall", stage_name="evaluate")
        weakest = int(series.values.argmin())
        print(f"  the neglected digit is {series.steps[weakest]}: {series.values[weakest]:.0%} of them are read")
    status = 1 if against or missing or broken else 0
    print(f"  exit status {status}: {'must not pass' if status else 'may be deployed'}\n")
    Path(f"gate-{name}.html").write_text(ctx.build_alert_report(name, RULES).to_html(), encoding="utf-8")
    return status


def main() -> int:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        if len(sys.argv) > 1:
            return gate(ctx, sys.argv[1])
        train(ctx, "thorough", pixels=64, c=0.1)
        train(ctx, "fast", pixels=40, c=0.1)
        verdicts = {name: gate(ctx, name) for name in ("thorough", "fast")}
        passed = [name for name, status in verdicts.items() if status == 0]
        print(f"{len(passed)} of {len(verdicts)} may be deployed: {', '.join(passed) or 'none'}. "
              "The reports are gate-*.html.")
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
