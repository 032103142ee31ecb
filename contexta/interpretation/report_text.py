"""How values read in reports: numbers, times, counts, and user text that must not become markup."""

from __future__ import annotations

import re
from typing import Any

from ..contract.json_text import dumps, float_text, jsonable
from ..contract.times import NS, parse_ns
from ..errors import ValidationError

_INFINITY = float("inf")
_BREAKS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]+")
# An underscore between letters or digits marks nothing in Markdown: `val_loss` stays readable.
_MARKUP = re.compile(r"[\\`*<>|\[\]~#&$]|(?<![^\W_])_|_(?![^\W_])")


def one_line(text: str) -> str:
    """Return text with line ends and control characters as single spaces."""
    return _BREAKS.sub(" ", text)


def escaped(text: object) -> str:
    """Return user text so that Markdown shows it as it is, on one line."""
    return _MARKUP.sub(r"\\\g<0>", one_line(str(text)))


def number_text(value: float) -> str:
    """Return a number for reading: whole ones exactly, others to 6 significant digits; NaN, Infinity, -Infinity."""
    if isinstance(value, int):
        return str(jsonable(value))
    return f"{value:.6g}" if -_INFINITY < value < _INFINITY else float_text(value)


def counted(count: int, one: str, many: str = "") -> str:
    """Return `1 stage`, `1,284 stages`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def value_text(value: Any) -> str:
    """Return a tag, a setting or other details as text: texts as they are, the rest as JSON."""
    return value if isinstance(value, str) else dumps(value)


def pairs_text(values: Any) -> str:
    """Return a mapping as JSON, nothing for an empty one."""
    return dumps(values) if values else ""


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Return the seconds from one time to another; None where either is missing or no time."""
    if not start or not end:
        return None
    try:
        return (parse_ns(end) - parse_ns(start)) / NS
    except ValidationError:
        return None


def duration_text(seconds: float) -> str:
    """Return seconds for reading: `0.25 s`, `1 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
