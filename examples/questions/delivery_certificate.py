"""We hand a model over to a customer: can we certify what it is, where it came from, and that it can be made again?

    python delivery_certificate.py

Trains a model that grades apples, delivers the file, and writes `certificate.html`: the hash of what was delivered,
the run, code, data and configuration behind it, its quality, and what the reproducibility audit says. Then the
certificate is put to the test: the run is done again, and a file in which a single byte was altered is held against it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from contexta import Contexta
from contexta.interpretation import ReportDocument, ReportSection, Table

PROJECT = "apple-grader"
DELIVERY = Path("delivery")


def apples(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (count, 4): weight, redness, firmness, one; and whether an apple is first class (count,)."""
    random = np.random.default_rng(seed)
    rows = np.column_stack([random.normal(size=(count, 3)), np.ones(count)])
    return rows, rows @ [0.8, 1.1, 1.5, -0.4] + random.normal(scale=0.5, size=count) > 0


def train(ctx: Contexta, name: str) -> str:
    """Train a perceptron and evaluate it; return the reference of the model. The same seed gives the same bytes."""
    config = {"epochs": 5, "seed": 8}
    rows, first_class = apples(config["seed"], 600)
    with ctx.run(name, config_snapshot=config, code_revision="2.3.1", dataset_ref="dataset:apples.harvest-2025") as run:
        with run.stage("train") as stage:
            weights, total = np.zeros(4), np.zeros(4)
            for epoch in range(config["epochs"]):
                mistakes = 0
                for row, good in zip(rows, first_class, strict=True):
                    if (row @ weights > 0) != good:
                        weights += row if good else -row
                        mistakes += 1
                    total += weights
                stage.metric("mistakes", mistakes, step=epoch)
            path = Path(f"{name}.npy")
            np.save(path, total / (config["epochs"] * len(rows)))
            model = f"artifact:{PROJECT}.{name}.model"
            stage.register_artifact("model", path, artifact_ref=model)
        with run.stage("evaluate") as stage:
            rows, first_class = apples(9, 2000)
            stage.metric("accuracy", float(((rows @ total > 0) == first_class).mean()))
    return model


def certify(ctx: Contexta, model: str) -> ReportDocument:
    """Build the certificate out of what the workspace knows of a model."""
    origin = ctx.get_artifact_origin(model)
    run, checked = origin.run, ctx.artifact_store.verify(model)
    if run is None or not checked.intact:
        raise SystemExit(f"{model} cannot be certified: {checked.status} {checked.problem}")
    audit = ctx.audit_reproducibility(run.run_id)
    delivered = Table(("what", "value"), (
        ("file", Path(origin.artifact.location).name),
        ("bytes", origin.artifact.size_bytes),
        ("hash", origin.artifact.hash_value),
        ("made in", origin.stage.stage_id if origin.stage else "unknown"),
        ("made at", origin.artifact.created_at),
    ))  # fmt: skip
    made_from = Table(("what", "value"), (
        ("code", run.code_revision),
        ("data", run.dataset_ref),
        *((f"configuration: {key}", str(value)) for key, value in (run.config_snapshot or {}).items()),
        ("Python", audit.python_version),
        ("platform", audit.platform),
        ("packages recorded", audit.package_count),
    ))  # fmt: skip
    quality = Table(("stage", "metric", "value"), tuple(
        (each.stage_name, each.metric_key, each.last) for each in ctx.list_series(run.run_id)
    ))  # fmt: skip
    notes = "\n".join(f"- {note.summary}" for note in audit.completeness_notes) or "Nothing is missing."
    upstream = ctx.traverse_lineage(model, direction="upstream")
    chain = "\n".join(f"- {edge.source_ref} {edge.relation_type} {edge.target_ref}" for edge in upstream.edges)
    return ReportDocument(f"Certificate of delivery: {run.name}", (
        ReportSection("What is delivered", "The file was read and has this hash.", tables=(delivered,)),
        ReportSection("What it was made from", chain, tables=(made_from,)),
        ReportSection("How good it is", "The last value of each metric.", tables=(quality,)),
        ReportSection("Can it be made again?", f"{audit.reproducibility_status}\n\n{notes}"),
    ))  # fmt: skip


def holds(ctx: Contexta, model: str, path: Path) -> bool:
    """Whether a file is the certified one, byte for byte."""
    known = ctx.get_artifact_origin(model).artifact.hash_value
    return known == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        model = train(ctx, "grader")
        certificate = certify(ctx, model)
        package = ctx.artifact_store.export_artifact(model, export_root=DELIVERY, replace_existing=True)
        (DELIVERY / "certificate.html").write_text(certificate.to_html(), encoding="utf-8")
        for section in certificate.sections:
            print(section.title)
            for table in section.tables:
                for row in table.rows:
                    print("  " + "  ".join(f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in row))
            if not section.tables:
                print("  " + section.body.replace("\n\n", ": "))
        print(f"\nDelivered: {package.export_directory.name} and certificate.html, in {DELIVERY}/")

        train(ctx, "grader-again")
        (change,) = ctx.compare_runs(f"run:{PROJECT}.grader", f"run:{PROJECT}.grader-again").artifact_changes
        print(f"Made again: the model is {change.change} ({change.change_detail})")
        print(f"The delivered file is the certified one: {holds(ctx, model, package.export_directory / 'payload')}")
        altered = Path("altered.npy")
        data = bytearray(Path("grader.npy").read_bytes())
        data[-1] ^= 1
        altered.write_bytes(data)
        print(f"A file with one byte altered is the certified one: {holds(ctx, model, altered)}")


if __name__ == "__main__":
    main()
