"""Many mutants, in a few copies of the tree at once."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from mutation import ROOT, Mutant, Tree, Verdict

SAMPLE = 4  # of the short form


def sample(mutants: Sequence[Mutant], chance: random.Random) -> list[Mutant]:
    """Return some of them."""
    quick = [each for each in mutants if not each.slow]
    return chance.sample(quick, min(SAMPLE, len(quick)))


def try_all(
    mutants: Sequence[Mutant],
    *,
    root: Path = ROOT,
    jobs: int = 2,
    whole: bool = False,
    tell: Callable[[Verdict], object],
) -> list[Verdict]:
    """Return a verdict for each mutant. tell: called with each as it comes."""
    trees: list[Tree] = []
    try:
        for _ in range(max(1, min(jobs, len(mutants)))):
            trees.append(Tree(root))  # noqa: PERF401 - one by one, so that those are removed that were made
        return _verdicts(trees, mutants, whole, tell)
    finally:
        for tree in trees:
            tree.remove()


def _verdicts(
    trees: Sequence[Tree], mutants: Sequence[Mutant], whole: bool, tell: Callable[[Verdict], object]
) -> list[Verdict]:
    waiting = deque(mutants)
    found: dict[str, Verdict] = {}

    def work(tree: Tree) -> None:
        while waiting:
            try:
                mutant = waiting.popleft()
            except IndexError:
                return
            verdict = found[mutant.name] = tree.trial(mutant, whole=whole)
            tell(verdict)

    try:
        _in_threads([lambda tree=tree: work(tree) for tree in trees])
    finally:
        waiting.clear()
    return [found[each.name] for each in mutants]


def _in_threads(works: Sequence[Callable[[], object]]) -> None:
    """Do all at once, and raise what one of them raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
