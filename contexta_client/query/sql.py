"""Read-only SQL over the whole store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from contexta.interpretation.answer import Answer
from contexta.v1 import query_pb2 as pb

from .channel import Connection, message

DEADLINE_S = 600.0
_FLOATS = ("DOUBLE", "FLOAT")


@dataclass(frozen=True, slots=True)
class SqlResult(Answer):
    """Columns, their types as DuckDB names them, and rows of plain values.

    Iterated over, rows are mappings; a name that stands again in `columns` is numbered there: name, name_1.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = _distinct(self.columns)
        for row in self.rows:
            yield dict(zip(names, row, strict=True))


def _distinct(columns: Sequence[str]) -> list[str]:
    names: list[str] = []
    taken = set(columns)
    for name in columns:
        chosen = name
        if name in names:
            chosen = next(each for n in count(1) if (each := f"{name}_{n}") not in taken)
            taken.add(chosen)
        names.append(chosen)
    return names


def _number(cell: Any) -> Any:
    """JSON has no NaN and no infinities: they come as texts."""
    return float(cell) if isinstance(cell, str) else cell


def run_sql(connection: Connection, text: str, *, max_rows: int | None = None) -> SqlResult:
    """Raises ValidationError for what is no SELECT, reads files, or has too many rows."""
    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = []
    request = message(pb.SqlRequest, text=text, max_rows=max_rows)
    for page in connection.stream("query", "Sql", request, deadline_s=DEADLINE_S):
        if page.columns:
            columns, types = tuple(page.columns), tuple(page.types)
        rows += [
            tuple(_number(cell) if kind in _FLOATS else cell for cell, kind in zip(row, types, strict=True))
            for row in json.loads(page.rows_json or "[]")
        ]
    return SqlResult(columns, types, tuple(rows))
