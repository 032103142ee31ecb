"""The shortest useful script: capture one run, then ask for it.

    python examples/quickstart.py
"""

from __future__ import annotations

from pathlib import Path

from contexta import Contexta


def main() -> None:
    with Contexta(config={"project_name": "quickstart"}) as ctx:
        with ctx.run("halving", tags={"kind": "toy"}) as run:
            with run.stage("train") as stage:
                value = 64.0
                for step in range(30):
                    value -= 0.1 * value  # gradient descent on value**2 / 2
                    stage.log({"loss": value * value / 2, "value": value}, step=step)
                stage.event("finished", message=f"the value is {value:.3f}")
            model = Path("quickstart-model.txt")
            model.write_text(f"{value}\n", encoding="utf-8")
            run.register_artifact("model", str(model))

        for record in ctx.list_runs("quickstart"):
            print(record.run_id, record.status, record.started_at)
        series = ctx.get_step_series(run.ref, "loss", stage_name="train")
        print(f"{len(series)} losses, the last {series.values[-1]:.3f} at step {series.steps[-1]}")


if __name__ == "__main__":
    main()
