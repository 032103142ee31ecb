import numpy as np
import pytest
from logged import FakeLog, columns, entry, key_defined, rows, session_opened

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.batches import BadBatchError, decode, decode_step, format_ns, format_ns_array, parse_instant
from contexta_daemon.batches.decode import MAX_PARTS


def test_items_are_numbered_entries_then_columns_then_rows():
    logged = FakeLog().add(
        1,
        session_opened(),
        key_defined(1, "loss"),
        columns=[columns([1.0, 2.0, 3.0], series=(1, 1))],
        rows=[rows([[1, 2], [3, 4], [5, 6]], group=1, scope=1)],
    )
    batch = decode(logged)
    assert len(batch.entries) == 2
    assert batch.columns[0].first_item == 2
    assert batch.rows[0].first_item == 5
    assert batch.rows[0].value.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert logged.envelope.count == 11


def test_arrays_are_views_of_the_body():
    batch = decode(FakeLog().add(1, columns=[columns([1.0], series=(1, 1))]))
    assert not batch.columns[0].value.flags.owndata


def unpacked_fixed64(field, numbers, code):
    import struct

    return b"".join(bytes([field << 3 | 1]) + struct.pack(code, n) for n in numbers)


def test_fields_that_another_language_encoded_unpacked_are_read_too():
    part = (
        unpacked_fixed64(1, [5, 6], "<q")
        + unpacked_fixed64(2, [0.5, float("inf")], "<d")
        + unpacked_fixed64(3, [0, 1], "<q")
        + unpacked_fixed64(4, [1 << 32 | 1] * 2, "<Q")
    )
    body = b"\x12" + bytes([len(part)]) + part
    batch = decode(FakeLog().add_body(1, body, 2))
    assert batch.columns[0].time_ns.tolist() == [5, 6]
    assert batch.columns[0].value.tolist() == [0.5, float("inf")]


def test_a_body_that_is_no_batch_is_a_bad_batch():
    with pytest.raises(BadBatchError):
        decode(FakeLog().add_body(1, b"\xff\xff\xff", 1))


def test_columns_of_unequal_length_are_a_bad_batch():
    part = columns([1.0, 2.0], series=(1, 1))
    part.step = part.step[:8]
    with pytest.raises(BadBatchError, match="unequal"):
        decode(FakeLog().add_body(1, pb.RawBatch(columns=[part]).SerializeToString(), 2))


def test_a_count_that_differs_from_the_envelope_is_a_bad_batch():
    body = pb.RawBatch(entries=[entry().SerializeToString()])
    with pytest.raises(BadBatchError, match="1 items"):
        decode(FakeLog().add_body(1, body.SerializeToString(), 2))


def test_a_scope_id_beyond_32_bits_is_a_bad_batch():
    part = rows([[1.0]], group=1, scope=1 << 63)
    with pytest.raises(BadBatchError):
        decode(FakeLog().add_body(1, pb.RawBatch(rows=[part]).SerializeToString(), 1))


def test_steps_come_back_from_their_stored_form():
    steps, has_step = decode_step(np.array([0, 1, 6, -1, -7]))
    assert steps[has_step].tolist() == [0, 5, -1, -7]
    assert has_step.tolist() == [False, True, True, True, True]


@pytest.mark.parametrize("time_ns", [0, 1, 999, 1_000, 1_767_225_599_999_999_999, -1, 2**63 - 1, -(2**63)])
def test_many_times_are_printed_like_single_ones(time_ns):
    assert format_ns_array(np.array([time_ns, 5_000], dtype=np.int64)) == [
        format_ns(time_ns).encode(),
        b"1970-01-01T00:00:00.000005Z",
    ]


def test_a_printed_time_is_read_back_to_the_microsecond():
    assert parse_instant(format_ns(1_767_225_600_123_456_789)) == 1_767_225_600_123_456_000
    assert parse_instant("2026-01-01T00:00:00Z") == 1_767_225_600_000_000_000
    assert parse_instant("2026-01-01T01:00:00.5+01:00") == 1_767_225_600_500_000_000


def test_a_body_of_more_parts_than_a_batch_has_is_refused_before_it_is_read():
    entries = b"\x0a\x00" * MAX_PARTS
    assert len(decode(FakeLog().add_body(1, entries, MAX_PARTS)).entries) == MAX_PARTS
    with pytest.raises(BadBatchError, match="parts"):
        decode(FakeLog().add_body(1, entries + b"\x12\x00", MAX_PARTS))
