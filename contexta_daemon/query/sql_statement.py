"""Whether a text is one read-only statement, told from its parsed tree, and which tables it reads.

DuckDB runs it in a database of its own in memory, with no access to files but the columns. What remains to be refused
are statements that write these, or that hide another statement in a text: COPY within WITH, `query('…')`, and the like.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from contexta.errors import ValidationError

from .sql_limits import MAX_TEXT_CHARS

if TYPE_CHECKING:
    import duckdb

_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLE_FUNCTIONS = frozenset(
    {
        "range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "repeat_row", "duckdb_columns",
        "duckdb_functions", "duckdb_keywords", "duckdb_tables", "duckdb_types", "duckdb_views",
    }
)  # fmt: skip
_ALLOWED = "one SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW or SUMMARIZE"


def tables_read(connection: duckdb.DuckDBPyConnection, text: str) -> frozenset[str]:
    """Return the names, in lower case, that a read-only statement reads from.

    Raises ValidationError: `sql_invalid` when it cannot be parsed, `sql_not_read_only` when it is anything else.
    """
    import duckdb

    if len(text) > MAX_TEXT_CHARS:
        raise ValidationError(f"A statement has at most {MAX_TEXT_CHARS} characters.", code="sql_invalid")
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise invalid(error) from None
    if not statements:
        raise ValidationError(f"There is no statement; write {_ALLOWED}.", code="sql_invalid")
    if len(statements) > 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise _refused(f"Only {_ALLOWED} is run: the store is read-only.")
    ((serialized,),) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    try:
        tree = json.loads(serialized)
    except RecursionError:
        raise ValidationError("The statement is nested too deep.", code="sql_invalid") from None
    if tree.get("error"):
        raise ValidationError(f"The statement cannot be looked into: {tree.get('error_message')}", code="sql_invalid")
    names: set[str] = set()
    for node in _nodes(tree):
        kind = node.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _QUERY_NODES:
            raise _refused(f"A part of the statement is no query ({kind.removesuffix('_NODE').replace('_', ' ')}).")
        if kind == "TABLE_FUNCTION":
            name = str(node.get("function", {}).get("function_name", "")).lower()
            if name not in _TABLE_FUNCTIONS:
                raise _refused(f"The table function {name} is not available: only the store's own tables are read.")
        if kind == "BASE_TABLE":
            names.add(str(node.get("table_name", "")).lower())
    return frozenset(names)


def invalid(error: Exception) -> ValidationError:
    """Say what DuckDB says of a statement, without the error itself, which the daemon could not load."""
    return ValidationError(str(error).strip(), code="sql_invalid", details={"engine": type(error).__name__})


def _refused(message: str) -> ValidationError:
    return ValidationError(message, code="sql_not_read_only")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in the tree."""
    waiting = [tree]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            yield here
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
