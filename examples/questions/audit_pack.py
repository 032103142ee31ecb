"""An auditor wants all there is about one run, in a folder, and wants to check that it is genuine.

    python audit_pack.py

Trains a small credit model, then writes `audit-pack/`: the report as a page and as JSON, the metrics as CSV, every
record as JSON Lines, the files themselves, and SHA256SUMS over all of it, which `sha256sum -c` checks too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from contexta import Contexta

PROJECT = "credit-model"
PACK = Path("audit-pack")
RATE, STEPS = 0.5, 120


def applicants(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (count, 3): income, debt, years at work; and whether the credit was repaid (count,)."""
    random = np.random.default_rng(seed)
    rows = np.column_stack([random.normal(size=count), random.normal(size=count), random.exponential(size=count)])
    chance = 1 / (1 + np.exp(-(0.4 + 1.2 * rows[:, 0] - 1.5 * rows[:, 1] + 0.5 * rows[:, 2])))
    return rows, (random.random(count) < chance).astype(float)


def train(ctx: Contexta) -> str:
    """Train logistic regression by gradient descent; return the run."""
    rows, repaid = applicants(1, 1500)
    data = Path("applicants.csv")
    np.savetxt(data, np.column_stack([rows, repaid]), fmt="%.6f", delimiter=",", header="income,debt,years,repaid")
    config = {"rate": RATE, "steps": STEPS}
    with ctx.run("assessment", config_snapshot=config, code_revision="1.4.0", dataset_ref="dataset:credit.q2") as run:
        with run.stage("train") as stage:
            stage.register_artifact("dataset", data)
            weights, bias = np.zeros(3), 0.0
            for step in range(STEPS):
                chance = 1 / (1 + np.exp(-(rows @ weights + bias)))
                stage.metric("loss", float(-np.log(np.where(repaid == 1, chance, 1 - chance)).mean()), step=step)
                weights -= RATE * rows.T @ (chance - repaid) / len(rows)
                bias -= RATE * float((chance - repaid).mean())
            model = Path("credit-model.json")
            model.write_text(json.dumps({"weights": weights.tolist(), "bias": bias}), encoding="utf-8")
            stage.register_artifact("model", model)
        with run.stage("evaluate") as stage:
            rows, repaid = applicants(2, 1000)
            said = rows @ weights + bias > 0
            stage.metric("accuracy", float((said == repaid).mean()))
            stage.metric("refused", float(1 - said.mean()))
            stage.event("approved-by", message="second pair of eyes", attributes={"role": "risk officer"})
    return run.ref


def pack(ctx: Contexta, run: str) -> None:
    """Write the folder, a new one each time."""
    shutil.rmtree(PACK, ignore_errors=True)
    (PACK / "files").mkdir(parents=True)
    report = ctx.build_snapshot_report(run)
    (PACK / "report.html").write_text(report.to_html(), encoding="utf-8")
    (PACK / "report.json").write_text(report.to_json(), encoding="utf-8")
    (PACK / "tables.csv").write_text(report.to_csv(), encoding="utf-8")
    count = ctx.record_store.export_jsonl(PACK / "records.jsonl", run_id=run)
    print(f"{count} records in records.jsonl, {len(report.sections)} sections in report.html")
    for artifact in ctx.list_artifacts(run):
        checked = ctx.artifact_store.verify(artifact.artifact_ref)  # as it lies now, against the hash of that day
        target = PACK / "files" / Path(artifact.location).name
        target.write_bytes(ctx.artifact_store.read_bytes(artifact.artifact_ref))
        print(f"{artifact.kind}: {checked.status}, {checked.size_bytes} bytes, {(checked.found_hash or '')[:23]}...")
    audit = ctx.audit_reproducibility(run)
    (PACK / "reproducibility.json").write_text(json.dumps(audit.to_dict(), indent=2), encoding="utf-8")
    print(f"To run it again: {audit.reproducibility_status}; Python {audit.python_version}, "
          f"{audit.package_count} packages known")
    files = sorted(path for path in PACK.rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(PACK)}" for path in files]
    (PACK / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")


def check(ctx: Contexta, run: str) -> None:
    """Do what the auditor does: read the folder alone, and then compare it with the workspace."""
    lines = (PACK / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    good = sum(hashlib.sha256((PACK / line[66:]).read_bytes()).hexdigest() == line[:64] for line in lines)
    print(f"\n{good} of {len(lines)} files have the sum that SHA256SUMS says")
    records = [json.loads(line) for line in (PACK / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [each["value"] for each in records if each["key"] == "loss"]
    series = ctx.get_step_series(run, "loss")
    same = losses == series.values.tolist()
    print(f"{len(losses)} losses from {losses[0]:.3f} to {losses[-1]:.3f}, the same as in the workspace: {same}")
    known = {each.hash_value for each in ctx.list_artifacts(run)}
    packed = {f"sha256:{line[:64]}" for line in lines if line[66:].startswith("files/")}
    print(f"The packed files are the captured ones: {packed == known}")
    integrity = ctx.record_store.check_integrity()
    print(f"The log behind it is {'intact' if integrity.intact else 'damaged'}: {integrity.items} items")


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        run = train(ctx)
        pack(ctx, run)
        check(ctx, run)


if __name__ == "__main__":
    main()
