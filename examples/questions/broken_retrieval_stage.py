"""Answers from our documents got worse since last week: which stage of the retrieval pipeline broke?

    python broken_retrieval_stage.py

Splits small documents, embeds them, searches, ranks again, and answers questions about them: once as last week, once
as today, with an embedder that dropped all digits "to clean the text". Each stage has metrics of its own and a span
for each question, so that the first stage that fell can be told from those that only pass its fault on.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np

from contexta import Contexta

PROJECT = "manual-search"
PARTS = ("pump", "valve", "boiler", "filter", "gasket", "sensor", "relay", "burner")
DOCUMENTS = {
    f"{part}-{model}": f"The {part} of model {model} is held by {3 + (model * 7 + len(part)) % 9} bolts. "
                       f"Tighten them to {20 + (model + len(part) * 3) % 40} Nm."
    for part in PARTS
    for model in range(100, 112)
}  # fmt: skip
QUESTIONS = {f"How many Nm for the {part} of model {model}": f"{part}-{model}"
             for part in PARTS for model in (101, 104, 109)}  # fmt: skip


def embed(text: str, *, keep_digits: bool) -> np.ndarray:
    """Return the words of a text hashed into a unit vector (1024,)."""
    found = np.zeros(1024)
    for word in re.findall(r"[a-z]+|\d+" if keep_digits else r"[a-z]+", text.lower()):
        found[zlib.crc32(word.encode()) % 1024] += 1
    return found / max(float(np.linalg.norm(found)), 1.0)


def pipeline(ctx: Contexta, name: str, *, keep_digits: bool) -> None:
    """Index and ask. Every stage says how it did."""
    with ctx.run(name, config_snapshot={"embedder": {"keep_digits": keep_digits, "size": 1024}}) as run:
        with run.stage("split") as stage:
            chunks = list(DOCUMENTS.items())
            stage.log({"chunks": len(chunks), "mean_words": float(np.mean([len(t.split()) for _, t in chunks]))})
        with run.stage("embed") as stage:
            vectors = np.array([embed(text, keep_digits=keep_digits) for _, text in chunks])
            stage.metric("distinct_share", len(np.unique(vectors.round(6), axis=0)) / len(vectors))
        found: dict[str, list[int]] = {}
        with run.stage("search") as stage:
            for question, document in QUESTIONS.items():
                began = datetime.now(UTC)
                scores = vectors @ embed(question, keep_digits=keep_digits)
                found[question] = np.argsort(-scores, kind="stable")[:5].tolist()
                hit = document in [chunks[each][0] for each in found[question]]
                stage.span("query", started_at=began, status="ok" if hit else "error", attributes={"wanted": document})
            hits = [wanted in [chunks[each][0] for each in found[question]] for question, wanted in QUESTIONS.items()]
            stage.metric("recall_at_5", float(np.mean(hits)))
        with run.stage("rank") as stage:
            first: dict[str, int] = {}
            for question, places in found.items():
                words = set(question.lower().split())
                first[question] = max(places, key=lambda each: len(words & set(chunks[each][1].lower().split())))
            outcomes = zip(QUESTIONS.items(), hits, strict=True)
            right = [chunks[first[question]][0] == wanted for (question, wanted), hit in outcomes if hit]
            stage.metric("right_if_found", float(np.mean(right)))
        with run.stage("answer") as stage:
            exact = []
            for question, wanted in QUESTIONS.items():
                torque = re.findall(r"(\d+) Nm", chunks[first[question]][1])
                exact.append(torque == re.findall(r"(\d+) Nm", DOCUMENTS[wanted]))
            stage.metric("exact_answers", float(np.mean(exact)))


def answer(ctx: Contexta) -> None:
    """Print how each stage did in both weeks, the first that fell, and the queries that show it."""
    found = ctx.compare_runs("last-week", "this-week")
    print(f"{'stage':<8} {'metric':<15} last week  this week")
    fallen = []
    for stage in found.stage_comparisons:
        for each in stage.metric_deltas:
            note = ""
            if each.change_ratio is not None and each.change_ratio < -0.05:
                fallen.append((stage.stage_name, each))
                note = f"  {each.change_ratio:+.0%}"
            print(f"{stage.stage_name:<8} {each.metric_key:<15} {each.left_value:9.2f} {each.right_value:10.2f}{note}")
    stages = list(dict.fromkeys(name for name, _ in fallen))
    print(f"\nBroken: {stages[0]} ({fallen[0][1].metric_key} fell first). "
          f"Carried along: {', '.join(stages[1:]) or 'nothing'}.")
    origins: dict[str, Any] = dict(found.provenance_comparison or {})
    for name, sides in origins.get("config", {}).items():
        print(f"What changed in the configuration: {name}: {sides['left']} -> {sides['right']}")

    lost: Counter[str] = Counter()
    for run in ("last-week", "this-week"):
        spans = list(ctx.record_store.scan(run_id=run, record_type="span"))
        bad = [each for each in spans if each.payload["status"] == "error"]
        print(f"{run}: {len(bad)} of {len(spans)} queries did not find their document")
        lost.update(each.payload["attributes"]["wanted"].partition("-")[2] for each in bad if run == "this-week")
    print(f"Models that are no longer found: {', '.join(f'{each} ({count} parts)' for each, count in lost.items())}")


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        pipeline(ctx, "last-week", keep_digits=True)
        pipeline(ctx, "this-week", keep_digits=False)
        answer(ctx)


if __name__ == "__main__":
    main()
