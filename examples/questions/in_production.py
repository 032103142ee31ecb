"""Which run is in production right now, and what do we roll back to?

    python in_production.py

Trains three releases of a spam filter and deploys them; the second is deployed twice, the third fails its probe.
Contexta then tells what serves, which other model served before it, and whether its file is still what was deployed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from contexta import Contexta

PROJECT = "spam-filter"
WORDS = ("prize", "urgent", "meeting", "invoice", "free", "lunch")
SPAM = np.array([0.7, 0.6, 0.1, 0.2, 0.7, 0.1])  # how often each word stands in spam
HAM = np.array([0.05, 0.15, 0.5, 0.3, 0.2, 0.4])


def mails(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which words stand in each mail (count, 6), and whether it is spam (count,)."""
    random = np.random.default_rng(seed)
    spam = random.random(count) < 0.4
    return (random.random((count, len(WORDS))) < np.where(spam[:, None], SPAM, HAM)).astype(float), spam


def release(ctx: Contexta, name: str, count: int) -> str:
    """Train naive Bayes on `count` mails; return the reference of the model."""
    seen, spam = mails(count, seed=count)
    with ctx.run(name, config_snapshot={"mails": count}) as run:
        with run.stage("train") as stage:
            in_spam, in_ham = ((seen[chosen].sum(axis=0) + 1) / (chosen.sum() + 2) for chosen in (spam, ~spam))
            weights = np.log(in_spam / in_ham) - np.log((1 - in_spam) / (1 - in_ham))
            bias = float(np.log((1 - in_spam) / (1 - in_ham)).sum())
            path = Path(f"{name}.json")
            path.write_text(json.dumps({"weights": weights.tolist(), "bias": bias}), encoding="utf-8")
            made = stage.register_artifact("model", path, attributes={"words": len(WORDS)})
        with run.stage("evaluate") as stage:
            seen, spam = mails(2000, seed=99)
            stage.metric("accuracy", float((((seen @ weights + bias) > 0) == spam).mean()))
        return str(made.payload["manifest"].artifact_ref)


def deploy(ctx: Contexta, name: str, run: str, artifact_ref: str) -> None:
    """Put a release to use: load the file, and send it three mails before it may serve."""
    metadata = {"target": "mail-gateway"}
    with ctx.deployment(name, run_ref=f"run:{PROJECT}.{run}", artifact_ref=artifact_ref, metadata=metadata) as to:
        path = Path("serving.json") if name == "autumn" else Path(f"{run}.json")  # somebody left a wrong path
        try:
            model = json.loads(path.read_text(encoding="utf-8"))
            scores = mails(3, seed=5)[0] @ np.array(model["weights"]) + model["bias"]
            to.metric("probe_score", float(scores.mean()))
        except OSError as error:
            to.event("probe-failed", message=str(error), level="error")
            to.close("failed", reason="the probe found no model")


def answer(ctx: Contexta) -> None:
    """Print the history, what serves, and what to go back to."""
    history = sorted(ctx.list_deployments(PROJECT), key=lambda each: each.started_at or "")
    print("Deployments, the oldest first:")
    for each in history:
        print(f"  {each.name:<8} {each.status:<10} from {each.run_id}")
    worked = [each for each in history if each.status == "completed"]
    serving = worked[-1]
    # Not simply the one before: that is the same model, deployed twice.
    before = [each for each in worked if each.artifact_ref != serving.artifact_ref][-1]
    accuracy = {point.run_id: point.value for point in ctx.get_metric_trend("accuracy", project_name=PROJECT).points}
    for said, each in (("In production", serving), ("Roll back to", before)):
        assert each.run_id is not None and each.artifact_ref is not None
        print(f"\n{said}: deployment {each.name}, {each.run_id}, accuracy {accuracy[each.run_id]:.3f}")
        origin = ctx.get_artifact_origin(each.artifact_ref)
        stage = origin.stage.name if origin.stage else "?"
        print(f"  model: {origin.artifact.location.rpartition('/')[2]}, made in stage {stage}, "
              f"{origin.artifact.size_bytes} bytes")
        checked = ctx.artifact_store.verify(each.artifact_ref)
        print(f"  its bytes now: {checked.status} ({(checked.found_hash or 'no hash')[:19]}...)")
    for each in history:
        if each.status == "failed":
            event = next(ctx.record_store.scan(key="probe-failed", project_name=PROJECT))
            print(f"\nNot to go back to: {each.name} failed: {event.message}")


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        for name, count in (("spring", 40), ("summer", 400), ("autumn", 4000)):
            artifact_ref = release(ctx, f"release-{name}", count)
            deploy(ctx, name, f"release-{name}", artifact_ref)
            if name == "summer":
                deploy(ctx, "summer-2", f"release-{name}", artifact_ref)
        answer(ctx)


if __name__ == "__main__":
    main()
