"""The bounds of numbers and times that are kept. The contract has none; SQLite, Parquet and answers do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contexta.errors import ValidationError
from contexta_daemon.batches import parse_instant
from contexta_daemon.catalog.stored import INT64

_BOUNDS = {
    "step": range(-(1 << 63), (1 << 63) - 1),  # kept one higher, because 0 says that there is none
    "rank": range(1 << 31),
    "attempt": range(1 << 31),
    "order_index": range(1 << 63),
    "size_bytes": range(1 << 63),
}


def check_bounds(fields: Mapping[str, Any]) -> None:
    """Raise ValidationError for a number or a time that could not be kept. `fields`: of a model, or a part of one."""
    for name, value in fields.items():
        if value is None:
            continue
        bounds = _BOUNDS.get(name)
        if bounds is not None and (type(value) is not int or value not in bounds):  # other types are compared for ever
            raise ValidationError(
                f"{name} is {value}; it must lie between {bounds[0]} and {bounds[-1]}.",
                code=f"{name}_out_of_range",
                details={"field": name},
            )
        if name.endswith("_at") and parse_instant(value) not in INT64:
            raise ValidationError(
                f"{name} is {value!r}; give a time between 1678 and 2262.",
                code="time_out_of_range",
                details={"field": name},
            )
