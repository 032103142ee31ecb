"""Which run a caller means: by reference, or by an unambiguous end of one."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from difflib import get_close_matches

from contexta.contract.references import slug
from contexta.errors import AmbiguousError, NotFoundError, ValidationError

MAX_CANDIDATES = 10


@dataclass(frozen=True, slots=True)
class FoundRun:
    """One attempt of a run."""

    id: int
    run_ref: str
    attempt: int


def within_project(kind: str, project: str) -> tuple[str, str]:
    """Return between which texts the references of a project lie: the first, and the first behind them."""
    component = component_of(project)
    return (f"{kind}:{component}.", f"{kind}:{component}/") if component else ("", "")  # "/" follows "." in ASCII


def component_of(project: str) -> str:
    """Return what references have of a project's name; "" for a name that no project can have."""
    try:
        return slug(project)
    except ValidationError:
        return ""


def find_run(connection: sqlite3.Connection, name: str, attempt: int = 0) -> FoundRun:
    """Return the attempt (0: the newest) of the run that a reference or the end of one names.

    Raises NotFoundError, which names the nearest, and AmbiguousError, which lists the candidates.
    """
    ref = name if name.startswith("run:") else ""
    if not ref:
        rows = connection.execute(
            "SELECT run_ref FROM runs WHERE newest = 1 AND (run_ref = ? OR run_ref LIKE ? ESCAPE '\\' OR name = ?) "
            "ORDER BY started_ns DESC LIMIT 100",
            (f"run:{name}", f"%.{_escaped(name)}", name),
        ).fetchall()
        refs = list(dict.fromkeys(row[0] for row in rows))
        exact = [each for each in refs if each == f"run:{name}"]
        if len(refs) > 1 and not exact:
            listed = ", ".join(refs[:MAX_CANDIDATES])
            raise AmbiguousError(
                f"{name!r} fits {len(refs)} runs: {listed}. Write more of the reference.", details={"matches": listed}
            )
        ref = exact[0] if exact else refs[0] if refs else ""
    row = connection.execute(
        "SELECT id, run_ref, attempt FROM runs WHERE run_ref = ? AND (attempt = ? OR (? = 0 AND newest = 1))",
        (ref, attempt, attempt),
    ).fetchone()
    if row is None:
        raise _unknown(connection, name, ref, attempt)
    return FoundRun(*row)


def _unknown(connection: sqlite3.Connection, name: str, ref: str, attempt: int) -> NotFoundError:
    attempts = connection.execute("SELECT count(*) FROM runs WHERE run_ref = ?", (ref,)).fetchone()[0] if ref else 0
    if attempts:
        return NotFoundError(f"{ref} has {attempts} attempts; there is no attempt {attempt}.")
    refs = [row[0] for row in connection.execute("SELECT run_ref FROM runs WHERE newest = 1 LIMIT 10000")]
    wanted = name if name.startswith("run:") else f"run:{name}"
    ends = {each.rpartition(".")[2]: each for each in refs}
    near = get_close_matches(wanted, refs, n=1, cutoff=0.5)
    near = near or [ends[end] for end in get_close_matches(name.rpartition(".")[2], list(ends), n=1, cutoff=0.5)]
    hint = f" The nearest is {near[0]}." if near else " There are no runs yet." if not refs else ""
    return NotFoundError(f"There is no run {name!r}.{hint}", details={"nearest": near[0] if near else ""})


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
