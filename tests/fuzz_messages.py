"""Messages filled with what their fields take, often strange, and often what the daemon knows by name."""

from __future__ import annotations

import random
from typing import Any

TEXTS = [
    "", "r", "run:demo.r", "run:demo.x", "run:p.good1", "demo", "loss", "good", "train", "latest", "snapshot", "html",
    "upstream", "{}", "[]", "null", '{"a":', "Run", "MetricRecord", "'; drop table runs", "\x00", "é" * 300, "..", "%",
    "a" * 5_000, "run:", "metric", "gt", "SELECT 1", "NaN", "2026-01-01T00:00:00Z", "9999-99-99", "started_at", "name",
    "stage:demo.r.train", "artifact:demo.r.m-1", "completed", "failed", "raw_observation", "float64", "int64", "step",
    "1" * 400, "-0", "1e999", '{"a": 1e999}', "[" * 200, '{"k": "v"}', "\ud7ff\n\r\u2028", "both", "stage", "markdown",
    "SELECT * FROM metrics", "SELECT * FROM runs ORDER BY 1", "SELECT repeat('x', 1000)", "/dev/zero", "/", "/nothing",
]  # fmt: skip
WHOLE = [0, 1, 2, 3, 7, 1000, (1 << 31) - 1]
FLOATS = [0.0, 1.5, -1.5, float("nan"), float("inf"), -1e308, 5e-324]


def anything(field: Any, chance: random.Random) -> Any:
    """A value that a field takes, often a strange one."""
    if field.type == field.TYPE_STRING:
        return chance.choice(TEXTS)
    if field.type == field.TYPE_BYTES:
        return chance.randbytes(chance.choice([0, 1, 8, 16, 16, 24]))
    if field.type in (field.TYPE_DOUBLE, field.TYPE_FLOAT):
        return chance.choice(FLOATS)
    if field.type == field.TYPE_BOOL:
        return chance.random() < 0.5
    if field.type == field.TYPE_ENUM:
        return chance.choice([value.number for value in field.enum_type.values])
    wide = field.type in (field.TYPE_SFIXED64, field.TYPE_INT64, field.TYPE_SINT64)
    most = (1 << 64) - 1 if field.type in (field.TYPE_UINT64, field.TYPE_FIXED64) else (1 << 63) - 1
    return chance.choice([*WHOLE, *([most, -1, -(1 << 63)] if wide else [])])


def fill(message: Any, chance: random.Random, depth: int = 0, *, every: bool = False) -> Any:
    """Fill about half of the fields, or every one; return the message."""
    oneofs = {each.name: chance.choice(each.fields) for each in message.DESCRIPTOR.oneofs}
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None and oneofs[field.containing_oneof.name] != field:
            continue
        if (not every and chance.random() < 0.4) or (field.message_type is not None and depth > 3):
            continue
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.message_type is not None:
            part = value.add() if hasattr(value, "add") else value
            fill(part, chance, depth + 1, every=every).SetInParent()
        elif hasattr(value, "extend"):
            value.extend(anything(field, chance) for _ in range(chance.choice([1, 2, 5])))
        else:
            setattr(message, field.name, anything(field, chance))
    return message
