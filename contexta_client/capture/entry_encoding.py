"""contexta.v1.Entry in protobuf's wire encoding, by hand: the training process never imports protobuf.

Field numbers and types come from the generated ENTRY_FIELDS. A property test holds this against the protobuf library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any

from .entry_fields import ENTRY_FIELDS

_VARINT, _FIXED64, _BYTES = 0, 1, 2  # wire types
_pack_sfixed64 = Struct("<q").pack

Writer = Callable[[Any], bytes]


def encode_entry(kind: str, time_ns: int, fields: Mapping[str, Any]) -> bytes:
    """Return a serialized Entry of a kind, its fields by their proto names.

    An absent field is left out or None. Text is made valid UTF-8: a lone surrogate becomes U+FFFD.
    Raises KeyError on a kind or a field that does not exist, and struct.error on a number out of range.
    """
    tag, writers = _plan(kind)
    body = b"".join([writers[name](value) for name, value in fields.items() if value is not None])
    time = _TIME_TAG + _pack_sfixed64(time_ns) if time_ns else b""
    return b"".join((time, tag, varint(len(body)), body))


def varint(number: int) -> bytes:
    """Return a number that is not negative as a varint."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def utf8(text: str) -> bytes:
    """Return text as UTF-8; surrogate pairs are joined, lone ones become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


_TIME_TAG = varint(1 << 3 | _FIXED64)
_plans: dict[str, tuple[bytes, dict[str, Writer]]] = {}


def _plan(kind: str) -> tuple[bytes, dict[str, Writer]]:
    plan = _plans.get(kind)
    if plan is None:
        number, fields = ENTRY_FIELDS[kind]
        writers = {name: _writer(field_number, kind_of) for name, (field_number, kind_of) in fields.items()}
        plan = _plans.setdefault(kind, (varint(number << 3 | _BYTES), writers))
    return plan


def _writer(number: int, kind: str) -> Writer:
    """Return the function that writes a field's value: tag and value, or nothing for the default value."""
    if kind == "varint*":  # proto3 packs repeated numbers
        return _length_prefixed(number, lambda values: b"".join(map(varint, values)))
    if kind == "str*":
        one = _length_prefixed(number, utf8, keep_empty=True)
        return lambda values: b"".join(map(one, values))
    if kind == "str":
        return _length_prefixed(number, utf8)
    if kind == "bytes":
        return _length_prefixed(number, bytes)
    if kind in ("varint", "bool", "varint?"):
        tag, keep_zero = varint(number << 3 | _VARINT), kind.endswith("?")
        return lambda value: tag + varint(int(value)) if value or keep_zero else b""
    if kind == "sfixed64":
        tag = varint(number << 3 | _FIXED64)
        return lambda value: tag + _pack_sfixed64(value) if value else b""
    raise ValueError(f"no encoding for a field of type {kind!r}")


def _length_prefixed(number: int, encode: Callable[[Any], bytes], *, keep_empty: bool = False) -> Writer:
    tag = varint(number << 3 | _BYTES)

    def write(value: Any) -> bytes:
        data = encode(value)
        return b"".join((tag, varint(len(data)), data)) if data or keep_empty else b""

    return write
