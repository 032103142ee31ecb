"""What must hold at the end of every workspace of `everything`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import everything_trainer as words
import numpy as np
from kills import value
from rig import Shared, Trial, processes
from stored import Session, by_run

from contexta import Contexta


class Counted(Protocol):
    """A trainer, as far as it is checked."""

    number: int
    shared: Shared
    killed: bool


def check_log(
    sessions: dict[bytes, Session],
    trainers: Mapping[int, Counted],
    *,
    durable: Mapping[int, int] | None = None,
    final: bool = False,
) -> Iterator[str]:
    """Yield what is otherwise than the trainers counted.

    final: all was delivered, and everything that returned must be there. durable: what was durable must be there, and
    of all else as much as came, from the beginning on.
    """
    runs = by_run(sessions)
    for number, trainer in trainers.items():
        name, found = f"run:k.r{number}", runs.get(f"run:k.r{number}", [])
        for problem in _contents(found, trainer, final=final):
            yield f"{name}: {problem}"
        if durable is not None:
            there = sum(len(_steps(found, key)) for key in ("loss", *(f"g{k}" for k in range(words.WIDTH))))
            if there < durable[number]:
                yield f"{name}: {durable[number]} metrics were durable, {there} are there"
        if final:
            yield from (f"{name}: {problem}" for problem in _losses(found, trainer))
    if unknown := runs.keys() - {f"run:k.r{number}" for number in trainers} - {"run:k.last"}:
        yield f"runs that nobody opened: {sorted(unknown)[:3]}"


def _contents(found: list[Session], trainer: Counted, *, final: bool) -> Iterator[str]:
    counted = trainer.shared
    series: list[tuple[str, int, Callable[[int], float]]] = [
        ("loss", words.METRICS, value),
        ("beside", words.THREAD, value),
        ("child", words.CHILDREN, value),
        *((f"g{k}", words.ROWS, lambda row, k=k: value(row * words.WIDTH + k)) for k in range(words.WIDTH)),  # type: ignore[misc]
    ]
    for key, word, value_at in series:
        steps, values = _points(found, key)
        # Children are sessions of their own, delivered in any order; all others come in their order.
        whole = final or key != "child"
        yield from _numbers(key, steps, counted[word], whole=whole, final=final)
        exact = np.array([value_at(int(step)) for step in steps])
        if not np.array_equal(values.view(np.int64), exact.view(np.int64)):
            yield f"{key}: values changed"
    events = [
        int(entry.event.message) for session in found for entry in session.of("event") if entry.event.key == "note"
    ]
    yield from _numbers("events", np.array(events), counted[words.EVENTS], whole=True, final=final)
    if any(session.gaps for session in found):
        yield "gaps in the sequence"


def _numbers(what: str, steps: np.ndarray, returned: int, *, whole: bool, final: bool) -> Iterator[str]:
    """0, 1, 2 ... each once: all that returned, and one more that may have been in flight."""
    if len(set(steps.tolist())) != len(steps):
        yield f"{what}: {len(steps)} are there, {len(set(steps.tolist()))} of them different"
    elif whole and not np.array_equal(steps, np.arange(len(steps))):
        yield f"{what}: {len(steps)} are there, the highest is {max(steps.tolist())}"
    if final and not returned <= len(steps) <= returned + 1:
        yield f"{what}: {returned} returned, {len(steps)} are there"


def _points(found: list[Session], key: str) -> tuple[np.ndarray, np.ndarray]:
    parts = [session.points(key) for session in found]
    steps = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int64)
    values = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0)
    order = np.argsort(steps, kind="stable")
    return steps[order], values[order]


def _steps(found: list[Session], key: str) -> np.ndarray:
    return _points(found, key)[0]


def _losses(found: list[Session], trainer: Counted) -> Iterator[str]:
    """What the log says was lost is what was refused; a call that was in flight at the end may be counted as well."""
    shared = trainer.shared
    said = [totals for session in found for totals in session.dropped().values()]
    metrics, entries = (sum(each[place] for each in said) for place in (0, 1))
    refused = shared[words.LOST_METRICS] + shared[words.THREAD_LOST], shared[words.LOST_ENTRIES]
    spare = (words.WIDTH + 2, 1) if trainer.killed else (0, 0)
    for what, told, counted, more in zip(("metrics", "entries"), (metrics, entries), refused, spare, strict=True):
        if not counted <= told <= counted + more:
            yield f"{counted} {what} were refused, the log says {told}: {[each.dropped() for each in found]}"


def check_models(trial: Trial, ctx: Contexta, trainers: Mapping[int, Counted], folder: Path) -> None:
    """Every file that was registered is known, with the hash of its content."""
    for number, trainer in trainers.items():
        if not trainer.shared[words.MODELS]:
            continue
        found = {each.artifact_ref.rpartition(".m")[2]: each for each in ctx.list_artifacts(f"run:k.r{number}")}
        kept = trainer.shared[words.MODELS]
        trial.check(kept <= len(found) <= kept + 1, f"run r{number}: {kept} models registered, {len(found)} are known")
        for place, artifact in found.items():
            wanted = sha256((folder / f"m{number}-{place}").read_bytes()).hexdigest()
            digest = (artifact.hash_value or "").rpartition(":")[2]
            trial.check(digest == wanted, f"{artifact.artifact_ref}: hash {artifact.hash_value}, not {wanted}")


def check_nothing_left(trial: Trial, workspace: Path) -> None:
    """No process, no spool, no socket, no unfinished file."""
    left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _names(pid, workspace)]
    trial.check(not left, f"processes are left: {left}")
    trial.check(not processes.spools_of(workspace), f"spools are left: {processes.spools_of(workspace)}")
    unfinished = [
        path
        for path in workspace.rglob("*")
        if path.is_file()
        and (path.name.endswith((".new", ".tmp")) or path.name.startswith(".") or "spill" in path.parts)
    ]
    trial.check(not unfinished, f"files are left: {unfinished[:5]}")
    trial.check(not (workspace / "daemon" / "daemon.json").exists(), "a daemon is still announced")


def _names(pid: int, workspace: Path) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return pid != os.getpid() and os.fsencode(workspace) in line
