"""What DuckDB answers as numpy arrays, by Arrow's C interface: its own masked arrays take it as long as the reading.

Structures: https://arrow.apache.org/docs/format/CDataInterface.html
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from contexta.errors import StorageError

if TYPE_CHECKING:
    import duckdb


class ArrowColumn(NamedTuple):
    """A column of a result: its values, of any value where `valid` is False. `valid` None: no value is NULL."""

    values: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_] | None


class _Array(ctypes.Structure):
    pass


class _Stream(ctypes.Structure):
    pass


_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))),
    ("private_data", ctypes.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", ctypes.c_void_p),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Array))),
    ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.POINTER(_Stream))),
    ("release", ctypes.c_void_p),  # called by the capsule, when it goes
    ("private_data", ctypes.c_void_p),
]
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def fetch_columns(
    connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any], types: Sequence[npt.DTypeLike]
) -> list[ArrowColumn]:
    """Return the columns of a query. `types`: what the query gives in each column, numbers of 1 to 8 bytes or bool.

    Raises duckdb.Error, and StorageError when the query fails on its way.
    """
    wanted = [np.dtype(kind) for kind in types]
    capsule = connection.sql(query, params=list(values)).__arrow_c_stream__()
    stream = _Stream.from_address(_pointer_of(capsule, b"arrow_array_stream"))
    parts: list[list[ArrowColumn]] = [[] for _ in wanted]
    while True:
        batch = _Array()
        if stream.get_next(stream, batch):
            said = stream.get_last_error(stream) or b"no reason given"
            raise StorageError(f"columns cannot be read: {said.decode(errors='replace')}")
        if not batch.release:  # the end
            return [_joined(column, kind) for column, kind in zip(parts, wanted, strict=True)]
        try:
            for place, kind in enumerate(wanted):
                parts[place].append(_copied(batch.children[place].contents, kind))
        finally:
            batch.release(batch)


def _copied(array: _Array, kind: np.dtype[Any]) -> ArrowColumn:
    if kind == np.bool_:
        values: npt.NDArray[Any] = _bits(array, 1)
    else:
        start, size = array.offset * kind.itemsize, array.length * kind.itemsize
        values = np.frombuffer(_memory(array.buffers[1], start, size), kind).copy()
    return ArrowColumn(values, None if array.null_count == 0 or not array.buffers[0] else _bits(array, 0))


def _bits(array: _Array, buffer: int) -> npt.NDArray[np.bool_]:
    first, end = array.offset // 8, (array.offset + array.length + 7) // 8
    packed = np.frombuffer(_memory(array.buffers[buffer], first, end - first), np.uint8)
    skipped = array.offset % 8
    return np.unpackbits(packed, count=skipped + array.length, bitorder="little")[skipped:].view(np.bool_)


def _memory(address: int | None, start: int, size: int) -> Any:
    """The bytes of another's buffer; of an empty one, which may have no address, none."""
    return (ctypes.c_char * size).from_address(address + start) if address and size else b""


def _joined(parts: list[ArrowColumn], kind: np.dtype[Any]) -> ArrowColumn:
    if len(parts) == 1:
        return parts[0]
    if all(part.valid is None for part in parts):
        return ArrowColumn(np.concatenate([np.empty(0, kind), *[part.values for part in parts]]), None)
    valid = [np.ones(len(part.values), np.bool_) if part.valid is None else part.valid for part in parts]
    return ArrowColumn(np.concatenate([part.values for part in parts]), np.concatenate(valid))
