"""Columns come out of their layout bit by bit as they went in, whatever they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logged import FakeLog
from plain_batches import plain_batch

from contexta import packing
from contexta_client.sender.batches import encode
from contexta_client.sender.blocks import Rows
from contexta_daemon.batches import decode

BITS = st.integers(0, (1 << 64) - 1)

def bits(array) -> list[int]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint64).tolist()


@given(st.lists(BITS, max_size=200))
def test_planes_are_undone(numbers) -> None:
    array = np.array(numbers, np.uint64)
    assert packing.from_planes(packing.planes(array)).tolist() == numbers
    assert packing.from_steady_planes(packing.steady_planes(array)).tolist() == numbers


@given(
    st.integers(1, 3), st.integers(1, 120), st.randoms(use_true_random=False),
    st.sampled_from(["smooth", "rounded", "noise", "bits"]),
)  # fmt: skip
def test_a_batch_holds_what_was_read_from_the_spool(keys, rows, random, kind) -> None:
    n = rows * keys
    values = {
        "smooth": lambda: np.sin(np.arange(n) / 100),
        "rounded": lambda: np.array([round(random.random(), 2) for _ in range(n)]),
        "noise": lambda: np.array([random.random() for _ in range(n)]),
        "bits": lambda: np.array([random.getrandbits(64) for _ in range(n)], np.uint64).view(np.float64),
    }[kind]()
    times = np.array([random.getrandbits(63) for _ in range(rows)], np.int64)
    steps = np.array([random.randrange(-(1 << 63), 1 << 63) for _ in range(rows)], np.int64)
    single = Rows(0, 1, times, steps, np.arange(rows, dtype=np.uint64), values[:rows].copy())
    group = Rows(7, keys, times, steps, np.full(rows, 3, np.uint64), values.reshape(rows, keys))
    body, count = encode([], [single, group])
    found = decode(FakeLog().add_body(1, body, count))
    (columns,), (matrix,) = found.columns, found.rows
    for part in (columns, matrix):
        assert bits(part.time_ns) == bits(times) and bits(part.step) == bits(steps)
    assert bits(columns.value) == bits(single.value) and bits(columns.series) == bits(single.scope)
    assert matrix.group_id == 7 and bits(matrix.value) == bits(group.value.T)
    message = plain_batch(body)  # the declared message says the same
    assert list(message.columns[0].step) == steps.tolist()


@pytest.mark.parametrize(
    ("values", "layout"),
    [
        (np.sin(np.arange(2000) / 1000), packing.VALUE_STEADY),
        (np.random.default_rng(0).integers(0, 50, 2000) / 50, 0),
        (np.random.default_rng(0).random(2000), packing.VALUE_PLANES),
    ],
)
def test_each_kind_of_values_gets_the_layout_that_suits_it(values, layout) -> None:
    assert packing.value_layout(values) == layout
