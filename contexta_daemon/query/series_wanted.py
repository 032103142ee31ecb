"""Which points of a run are wanted, and what the catalog says of them: none of them is read for it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from contexta.errors import NotFoundError
from contexta.v1 import query_pb2
from contexta_daemon.catalog.schema import STAGE
from contexta_daemon.catalog.tally import NO_RANK

from .finding import FoundRun, find_run
from .listing import STAGE_NAME

_STAGE = """
SELECT ref FROM scopes WHERE run = ?1 AND kind = ?2 AND ?3 IN ('', ref) AND ?4 IN ('', name) ORDER BY ord, id LIMIT 1
"""
_OF_RECORDS = """
FROM summaries m LEFT JOIN scopes t ON t.run = m.run AND t.kind = ?2 AND t.ref = m.stage_ref
WHERE m.run = ?1 AND m.stage_ref != ''
"""
_STAGE_OF_RECORDS = f"""
SELECT m.stage_ref {_OF_RECORDS} AND ?3 IN ('', m.stage_ref) AND ?4 IN ('', {STAGE_NAME}) ORDER BY m.stage_ref LIMIT 1
"""
_STAGE_NAMES = f"SELECT name FROM scopes WHERE run = ?1 AND kind = ?2 UNION SELECT {STAGE_NAME} {_OF_RECORDS}"


@dataclass(frozen=True, slots=True)
class SeriesWanted:
    """Which points of a run: of a metric, of a stage ("": of none), of a rank (NO_RANK: of none). None: any."""

    run: FoundRun
    key: str
    stage: str | None = None
    rank: int | None = None

    def is_of_rank(self, rank: int | None) -> bool:
        """Whether what a process of this rank captured is wanted."""
        return self.rank is None or self.rank == (NO_RANK if rank is None else rank)

    @classmethod
    def of(cls, connection: sqlite3.Connection, request: query_pb2.GetStepSeriesRequest) -> SeriesWanted:
        """Look up what a request names. Raises NotFoundError for a run or stage that is not there."""
        run = find_run(connection, request.run_id, request.attempt)
        stage = _stage(connection, run, request.stage_id, request.stage_name)
        return cls(run, request.metric_key, stage, request.rank if request.HasField("rank") else None)


def count_points(connection: sqlite3.Connection, wanted: SeriesWanted) -> dict[int, int]:
    """Return how many points each rank has (NO_RANK: those of none), in the order of ranks. None of them is read."""
    rows = connection.execute(
        "SELECT rank, sum(points) FROM summaries WHERE run = ?1 AND key = ?2 AND (?3 IS NULL OR stage_ref = ?3) "
        "AND (?4 IS NULL OR rank = ?4) GROUP BY rank ORDER BY rank",
        (wanted.run.id, wanted.key, wanted.stage, wanted.rank),
    )
    return dict(rows.fetchall())


def is_summed_up(connection: sqlite3.Connection, run: FoundRun, key: str) -> bool:
    """Whether a metric was captured, or put through a store. It is written with the catalog's position, so that it
    holds of all that the catalog has applied."""
    found = connection.execute("SELECT 1 FROM summaries WHERE run = ? AND key = ? LIMIT 1", (run.id, key)).fetchone()
    return found is not None


def unit_of(connection: sqlite3.Connection, wanted: SeriesWanted) -> str:
    """The unit in this run: a process may have captured the same key into another one in another unit."""
    row = connection.execute(
        "SELECT unit FROM summaries WHERE run = ?1 AND key = ?2 AND unit != '' AND (?3 IS NULL OR stage_ref = ?3) "
        "AND (?4 IS NULL OR rank = ?4) LIMIT 1",
        (wanted.run.id, wanted.key, wanted.stage, wanted.rank),
    ).fetchone()
    return str(row[0]) if row else ""


def no_metric(connection: sqlite3.Connection, run: FoundRun, key: str) -> NotFoundError:
    """Return the error for a metric that a run does not have, with the nearest that it has."""
    from difflib import get_close_matches

    keys = [row[0] for row in connection.execute("SELECT DISTINCT key FROM summaries WHERE run = ?", (run.id,))]
    near = get_close_matches(key, keys, n=1, cutoff=0.4)
    hint = f" The nearest is {near[0]!r}." if near else f" It has {', '.join(sorted(keys)[:10])}." if keys else ""
    return NotFoundError(f"{run.run_ref} has no metric {key!r}.{hint}", details={"nearest": near[0] if near else ""})


def _stage(connection: sqlite3.Connection, run: FoundRun, stage_id: str, stage_name: str) -> str | None:
    """Return the reference of the stage that has the id and the name, where they are given; None: any stage."""
    if not stage_id and not stage_name:
        return None
    values = (run.id, STAGE, stage_id, stage_name)
    row = connection.execute(_STAGE, values).fetchone() or connection.execute(_STAGE_OF_RECORDS, values).fetchone()
    if row is None:
        names = [each[0] for each in connection.execute(_STAGE_NAMES, (run.id, STAGE))]
        asked = " with the name ".join(repr(each) for each in (stage_id, stage_name) if each)
        raise NotFoundError(f"{run.run_ref} has no stage {asked}; it has {', '.join(names) or 'none'}.")
    return str(row[0])
