"""The hand-written encoding of entries is what the protobuf library would write."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contexta.v1 import capture_pb2
from contexta_client.capture.entry_encoding import encode_entry, utf8, varint
from contexta_client.capture.entry_fields import ENTRY_FIELDS

INT64 = st.integers(-(2**63), 2**63 - 1)
SMALL = st.one_of(st.integers(0, 300), st.integers(0, 2**32 - 1))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.just("a\0b")
VALUES = {
    "str": TEXT,
    "varint": SMALL,
    "varint?": st.none() | SMALL,
    "varint*": st.lists(SMALL, max_size=5),
    "bool": st.booleans(),
    "bytes": st.binary(max_size=20),
    "sfixed64": INT64,
    "str*": st.lists(TEXT, max_size=4),
}


@st.composite
def entries(draw: st.DrawFn) -> tuple[str, int, dict[str, Any]]:
    kind = draw(st.sampled_from(sorted(ENTRY_FIELDS)))
    fields = {}
    for name, (_, type_name) in ENTRY_FIELDS[kind][1].items():
        # An enum keeps to numbers that exist; the others take anything of their type.
        values = st.integers(0, 6) if (kind, name) == ("scope_opened", "kind") else VALUES[type_name]
        fields[name] = draw(values)
    return kind, draw(INT64), fields


def by_library(kind: str, time_ns: int, fields: dict[str, Any]) -> capture_pb2.Entry:
    entry = capture_pb2.Entry(time_ns=time_ns)
    message = getattr(entry, kind)
    message.SetInParent()
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(message, name).extend(value)
        elif value is not None:
            setattr(message, name, value)
    return entry


@given(entries())
def test_an_entry_is_encoded_as_the_library_does(given_entry: tuple[str, int, dict[str, Any]]) -> None:
    kind, time_ns, fields = given_entry
    ours = encode_entry(kind, time_ns, fields)
    expected = by_library(kind, time_ns, fields)
    assert capture_pb2.Entry.FromString(ours) == expected
    assert ours == expected.SerializeToString(deterministic=True)


@given(st.text(st.characters(), max_size=30) | st.text(st.sampled_from("\ud800\udc00\udfffa\0é"), max_size=12))
def test_any_text_becomes_valid_utf8_and_good_text_is_kept(text: str) -> None:
    decoded = utf8(text).decode("utf-8")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        assert "\ufffd" in decoded or len(decoded) < len(text)
    else:
        assert decoded == text
    entry = capture_pb2.Entry.FromString(encode_entry("event", 1, {"message": text}))
    assert entry.event.message == decoded


def test_a_surrogate_pair_is_joined_and_a_lone_one_replaced() -> None:
    assert utf8("\ud83d\ude00").decode() == "\U0001f600"
    assert utf8("a\ud83db").decode() == "a\ufffdb"


@given(st.integers(0, 2**64 - 1))
def test_a_varint_holds_its_number_in_groups_of_seven_bits(number: int) -> None:
    encoded = varint(number)
    assert sum((byte & 0x7F) << (7 * index) for index, byte in enumerate(encoded)) == number
    assert all(byte & 0x80 for byte in encoded[:-1])
    assert not encoded[-1] & 0x80
