"""The average is good. Which prompts fail behind it?

    python failing_prompts.py

A small assistant of a library chooses what to do by the words of a prompt (the nearest centroid of its training
prompts). Every prompt of the evaluation is a sample with its own metrics and an event with its text. Contexta then
shows the families of prompts whose failures the average hides, the failed prompts, and those that were right by luck.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from contexta import Contexta

PROJECT = "library-assistant"
TRAINING = {
    "renew": ["please renew my book", "extend the loan of my book", "i need the novel for another week"],
    "reserve": ["reserve the new novel for me", "put me on the waiting list", "hold the atlas for me"],
    "hours": ["when do you open", "what are your opening hours", "are you open on sunday"],
    "fee": ["how much do i have to pay", "what does a late return cost", "is there a fee for late books"],
}
PLAIN = {
    "renew": ["renew my book please", "renew the loan of the atlas", "extend my loan for a week", "extend the loan"],
    "reserve": ["reserve the atlas for me", "hold the new novel for me", "put me on the list", "reserve a novel"],
    "hours": ["when do you open on sunday", "opening hours please", "are you open today", "when are you open"],
    "fee": ["what does it cost", "how much is the fee", "how much do i pay for late books", "is there a late fee"],
}
NEGATED = {
    "reserve": ["do not renew my book but reserve it", "no need to extend my loan, hold the book",
                "do not extend the loan, reserve the novel"],
    "hours": ["i do not want to know the fee, when is it open"],
}
VAGUE = {"renew": ["can i keep it longer", "still reading"], "fee": ["i am late, how much"]}
LUCK = 0.02  # a smaller margin between the first and the second intent is no choice
FAMILIES = {"plain": PLAIN, "negated": NEGATED, "vague": VAGUE}

VOCABULARY = {word: place for place, word in enumerate(sorted(
    {word for prompts in TRAINING.values() for prompt in prompts for word in prompt.split()}))}  # fmt: skip


def vector(prompt: str) -> np.ndarray:
    """Return the known words of a prompt as a unit vector (len(VOCABULARY),); zero when it knows none."""
    found = np.zeros(len(VOCABULARY))
    for word in prompt.replace(",", " ").split():
        if word in VOCABULARY:
            found[VOCABULARY[word]] = 1
    return found / max(float(np.linalg.norm(found)), 1.0)


def evaluate(ctx: Contexta) -> str:
    """Ask the assistant every prompt; return the run."""
    intents = list(TRAINING)
    centroids = np.array([np.mean([vector(each) for each in TRAINING[intent]], axis=0) for intent in intents])
    right: list[bool] = []
    with ctx.run("evaluation", config_snapshot={"words": len(VOCABULARY)}) as run, run.stage("evaluate") as stage:
        for family, expectations in FAMILIES.items():
            with stage.batch(family) as batch:
                prompts = [(prompt, intent) for intent, group in expectations.items() for prompt in group]
                for number, (prompt, intent) in enumerate(prompts):
                    scores = centroids @ vector(prompt)
                    said = intents[int(scores.argmax())]
                    low, high = np.sort(scores)[-2:]
                    right.append(said == intent)
                    with batch.sample(f"{family}-{number}") as sample:
                        sample.log({"correct": float(right[-1]), "margin": float(high - low)})
                        sample.event("prompt", message=prompt, attributes={"expected": intent, "answered": said})
        stage.metric("accuracy", float(np.mean(right)))
    return run.ref


def answer(ctx: Contexta, run: str) -> None:
    """Print the average, the families behind it, and the prompts that failed."""
    (accuracy,) = ctx.list_series(run, metric_key="accuracy")
    samples = {each.sample_id: each for each in ctx.list_samples(run)}
    names = {each.batch_id: each.name for each in ctx.list_batches(run)}
    print(f"Accuracy over {len(samples)} prompts: {accuracy.last:.0%}. By family:")
    of_sample: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for record in ctx.record_store.scan(run_id=run):
        if record.sample_id:
            of_sample[record.sample_id][record.key] = record.value if record.record_type == "metric" else record
    families: defaultdict[str, list[str]] = defaultdict(list)
    for ref, sample in samples.items():
        families[names[sample.batch_id or ""]].append(ref)
    for family, refs in families.items():
        correct = [of_sample[ref]["correct"] for ref in refs]
        margin = np.median([of_sample[ref]["margin"] for ref in refs])
        print(f"  {family:<8} {np.mean(correct):4.0%} of {len(refs):2} prompts; median margin {margin:.2f}")

    failed = [ref for ref in samples if not of_sample[ref]["correct"]]
    print(f"\nThe {len(failed)} prompts that fail, the surest mistakes first:")
    for ref in sorted(failed, key=lambda each: -of_sample[each]["margin"]):
        prompt = of_sample[ref]["prompt"]
        said = prompt.payload["attributes"]
        print(f"  {samples[ref].name:<10} {prompt.message!r}: {said['answered']} instead of {said['expected']} "
              f"(margin {of_sample[ref]['margin']:.2f})")
    lucky = [ref for ref in samples if of_sample[ref]["correct"] and of_sample[ref]["margin"] < LUCK]
    print(f"\nRight, but by luck (margin below {LUCK}):")
    for ref in lucky:
        print(f"  {samples[ref].name:<10} {of_sample[ref]['prompt'].message!r}")
    sure = {family: np.mean([of_sample[ref]["correct"] and ref not in lucky for ref in refs])
            for family, refs in families.items()}  # fmt: skip
    print("\nRight, and not by luck: " + ", ".join(f"{family} {share:.0%}" for family, share in sure.items()) + ".")
    print(f"Write training prompts for the family {min(sure, key=lambda family: sure[family])!r} first.")


def main() -> None:
    with Contexta(config={"project_name": PROJECT}) as ctx:
        answer(ctx, evaluate(ctx))


if __name__ == "__main__":
    main()
