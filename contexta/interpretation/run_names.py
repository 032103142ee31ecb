"""How runs are called where several stand side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Return the names of runs, by their ids, such that each is another: a name that repeats becomes its reference."""
    counts = Counter(names.values())
    found = {run_id: name if counts[name] == 1 else _short(run_id) for run_id, name in names.items()}
    if len(set(found.values())) < len(found):  # a run is named like the reference of another
        return {run_id: _short(run_id) for run_id in names}
    return found


def _short(run_id: str) -> str:
    return run_id.removeprefix("run:")
