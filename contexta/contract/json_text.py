"""Values as strict JSON text (RFC 8259), exactly, whatever users put in.

NaN and the infinities become the texts "NaN", "Infinity", "-Infinity"; whole numbers keep every digit; times become
ISO-8601 text; numpy and torch scalars become numbers and arrays lists; lone surrogates become U+FFFD; a value of any
other type becomes its `str()`. Nothing raises but nesting without end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..errors import ValidationError

MAX_DEPTH = 64
_INFINITY = float("inf")

_encode_plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """Return a value as one line of JSON. Raises ValidationError when it is nested deeper than MAX_DEPTH."""
    try:
        text = _encode_plain(value)
    except (TypeError, ValueError, RecursionError):  # not plain: a NaN, an object, an enormous integer, a cycle
        text = _encode_plain(jsonable(value))
    return text if text.isascii() else _on_one_line(_well_formed(text))


def jsonable(value: Any, *, depth: int = 0) -> Any:
    """Return a value as what JSON knows: dict, list, str, int, float, bool, None."""
    if value is None or value is True or value is False or type(value) is str:
        return value
    if isinstance(value, float):
        return float(value) if -_INFINITY < value < _INFINITY else float_text(value)
    if isinstance(value, int):
        return _integer(int(value))
    if depth > MAX_DEPTH:
        raise ValidationError(
            f"A value is nested deeper than {MAX_DEPTH} levels, or holds itself. Give a flatter one.",
            code="value_too_deep",
        )
    if isinstance(value, Mapping):
        return {_key(key): jsonable(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item, depth=depth + 1) for item in value]
    return _converted(value, depth)


def float_text(value: float) -> str:
    """Return NaN, Infinity or -Infinity for the float that JSON has no number for."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _converted(value: Any, depth: int) -> Any:
    if isinstance(value, str):  # a subclass: an enum of texts, a numpy str
        return str.__str__(value)
    if isinstance(value, datetime):
        from .times import format_time

        return format_time(value) if value.tzinfo else value.isoformat()
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    for method in ("to_dict", "tolist"):  # a model; an array or a scalar of numpy, torch, jax
        convert = getattr(value, method, None)
        if convert is not None and not isinstance(value, type):
            try:
                return jsonable(convert(), depth=depth + 1)
            except ValidationError:
                raise
            except Exception:  # an object of the user's that cannot tell: fall back to its text
                break
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    text = jsonable(key, depth=MAX_DEPTH)
    return text if isinstance(text, str) else str(text)


def _integer(value: int) -> int | str:
    # Beyond some thousands of digits Python refuses to print decimals; hexadecimal has no such bound.
    return value if value.bit_length() < 14_000 else hex(value)


def _well_formed(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _on_one_line(text: str) -> str:
    """Escape what some readers (`str.splitlines`, JavaScript) take for the end of a line; it only stands in texts."""
    for character in "\u2028\u2029\x85":
        if character in text:
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text
