"""The metrics of batches that let go of them, out of the files: what a lean segment of the log is read with."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from contexta_daemon.batches import Numbers, body_of, read_skeleton
from contexta_daemon.batches.skeleton import Skeleton
from contexta_daemon.log import LeanBatch, LogIOError, Position

from .files import DAMAGED, PUT_AWAY, digest_of, listed, named
from .gathering import CANONICAL_NAN
from .reading import ATTEMPTS, connection

_log = logging.getLogger(__name__)

_METRICS = """
SELECT w.place, p.sequence, p.time_ns, p.value, p.value_bits,
       coalesce(CASE WHEN p.step >= 0 THEN p.step + 1 ELSE p.step END, 0) AS step
FROM read_parquet($5) p JOIN (
  SELECT unnest($1::VARCHAR[]) AS session, unnest($2::INTEGER[]) AS place, unnest($3::BIGINT[]) AS first,
         unnest($4::BIGINT[]) AS past
) w ON p.session = w.session AND p.sequence >= w.first AND p.sequence < w.past
"""
_MISSING = {"value": np.nan}  # NaN comes as NULL


class _Wanted(NamedTuple):
    """A batch, and the numbers of its metrics in its session: from `first` up to `end`."""

    batch: LeanBatch
    skeleton: Skeleton
    first: int
    end: int


class _Found(NamedTuple):
    """Metrics of one session by number, ascending, each once."""

    sequence: npt.NDArray[np.int64]
    numbers: Numbers


def fetcher(folder: Path) -> Callable[[Sequence[LeanBatch]], list[bytes | None]]:
    """Return what finds the bodies of batches in a folder of columns; see `fetch_bodies`."""
    return lambda batches: fetch_bodies(folder, batches)


def fetch_bodies(folder: Path, batches: Sequence[LeanBatch]) -> list[bytes | None]:
    """Return the bodies of batches of one segment that are near each other; None where metrics are missing.

    All files count that have something of that part of the log, also those that were put away or are damaged: what the
    log let go of may be nowhere else. Raises LogIOError when it cannot be told what files have.
    """
    wanted = [_wanted(batch) for batch in batches]
    known = [each for each in wanted if each is not None]
    found = _look_up(folder, known) if known else {}
    return [_body(each, found) if each is not None else None for each in wanted]


def _wanted(batch: LeanBatch) -> _Wanted | None:
    try:
        skeleton = read_skeleton(batch.skeleton)
    except ValueError:
        return None
    first = batch.envelope.first_sequence + len(skeleton.entries)
    return _Wanted(batch, skeleton, first, first + skeleton.metrics)


def _look_up(folder: Path, wanted: Sequence[_Wanted]) -> dict[bytes, _Found]:
    """Return the metrics of each session from its first wanted number to its last."""
    ranges: dict[bytes, tuple[int, int]] = {}
    for each in wanted:
        session = each.batch.envelope.session_id
        first, end = ranges.get(session, (each.first, each.end))
        ranges[session] = min(first, each.first), max(end, each.end)
    offsets, segment = [each.batch.offset for each in wanted], wanted[0].batch.segment
    first_place, last_place = Position(segment, min(offsets)), Position(segment, max(offsets))
    for _ in range(ATTEMPTS):
        paths = _files(folder, first_place, last_place)
        parts = [_read(path, ranges) for path in paths]
        if all(path.exists() for path in paths):  # else merged away since the look into the folder
            return _by_session([part for part in parts if part is not None], list(ranges))
    raise LogIOError(f"files in {folder} come and go while they are looked into", errno=errno.EAGAIN, segment=segment)


def _files(folder: Path, first: Position, last: Position) -> list[Path]:
    """Return the files that have something from `first` up to and with `last`."""
    folders = [folder, *sorted(folder.glob(f"{PUT_AWAY}*"))]
    files = [(place / file.name, file) for place in folders for file in listed(place)]
    # Those that are damaged somewhere, too: whether it is here a body's digest tells.
    aside = [(path, named(path.name.removesuffix(DAMAGED))) for path in folder.glob(f"*{DAMAGED}")]
    files += [(path, file) for path, file in aside if file is not None]
    return [path for path, file in files if file.start <= last and first < file.end]


def _read(path: Path, ranges: dict[bytes, tuple[int, int]]) -> dict[str, Any] | None:
    """Return what a file has; None when it is damaged, or gone."""
    import duckdb

    sessions = [session.hex() for session in ranges]
    first, end = zip(*ranges.values(), strict=True)
    with connection().cursor() as cursor:
        try:
            given = [sessions, list(range(len(sessions))), first, end, str(path)]
            found = cursor.execute(_METRICS, given).fetchnumpy()
            return {name: np.ma.filled(column, _MISSING.get(name, 0)) for name, column in found.items()}
        except (duckdb.OutOfMemoryException, MemoryError) as error:
            raise LogIOError(f"the columns in {path} cannot be read: {error}", errno=errno.ENOMEM) from error
        except duckdb.Error as error:
            # DuckDB says the same of a disk that does not answer now and of a length in a damaged file that is wrong.
            if isinstance(error, duckdb.IOException | duckdb.InternalException) and _is_what_was_written(path):
                raise LogIOError(f"the columns in {path} cannot be read: {error}", errno=errno.EIO) from error
            if path.exists():
                _log.warning("%s is damaged, and the log lacks its metrics: %s", path, error)
            return None


def _is_what_was_written(path: Path) -> bool:
    """Whether a file is there, undamaged. Raises LogIOError when it cannot be told."""
    file = named(path.name.removesuffix(DAMAGED))
    try:
        return file is not None and digest_of(path) == file.digest
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LogIOError(f"the columns in {path} cannot be read: {error}", errno=error.errno or errno.EIO) from error


def _by_session(parts: Sequence[dict[str, Any]], sessions: Sequence[bytes]) -> dict[bytes, _Found]:
    if not parts:
        return {}
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((columns["sequence"], columns["place"]))
    columns = {name: column[order] for name, column in columns.items()}
    place, sequence = columns["place"], columns["sequence"]
    once = np.ones(len(place), np.bool_)  # a file that was put away may have what another one has too
    once[1:] = (place[1:] != place[:-1]) | (sequence[1:] != sequence[:-1])
    starts = np.searchsorted(place, np.arange(len(sessions) + 1))
    bits, time_ns, step = _bits(columns), columns["time_ns"], columns["step"]
    found = {}
    for number, session in enumerate(sessions):
        kept = np.flatnonzero(once[starts[number] : starts[number + 1]]) + starts[number]
        found[session] = _Found(sequence[kept], Numbers(time_ns[kept], step[kept], bits[kept]))
    return found


def _bits(columns: dict[str, Any]) -> npt.NDArray[np.uint64]:
    """Return the bits of values; those of -0.0 and of a NaN that is not the usual one stand apart."""
    value, given = columns["value"], columns["value_bits"].view(np.uint64)
    usual: npt.NDArray[np.uint64] = np.where(np.isnan(value), np.uint64(CANONICAL_NAN), value.view(np.uint64))
    return np.where(given != 0, given, usual)


def _body(wanted: _Wanted, found: dict[bytes, _Found]) -> bytes | None:
    of_session = found.get(wanted.batch.envelope.session_id)
    if of_session is None:
        return None
    start, end = np.searchsorted(of_session.sequence, [wanted.first, wanted.end])
    if end - start != wanted.skeleton.metrics:
        return None
    part, numbers = slice(start, end), of_session.numbers
    return body_of(wanted.skeleton, Numbers(numbers.time_ns[part], numbers.step[part], numbers.value[part]))
