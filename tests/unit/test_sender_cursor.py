"""The cursor: everything that a new sender needs to go on, in bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexta_client.sender.cursor import MAX_BYTES, MAX_HOLES, REASONS, Cursor

u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
place = st.tuples(u32, u32)
cursors = st.builds(
    Cursor,
    journal=place,
    series=st.dictionaries(u32, place, max_size=8).map(lambda series: {0: (0, 0), **series}),
    holes=st.lists(st.tuples(u32, u32, u32), max_size=8).map(tuple),
    torn=u64,
    unreadable=u64,
    said=st.tuples(*[u64] * (2 * len(REASONS))),
    too_large=st.integers(0, 0xFFFF),
    open_scopes=u32,
    began=st.booleans(),
    ended=st.booleans(),
)


@given(cursors)
def test_a_cursor_comes_back_as_it_was(cursor: Cursor) -> None:
    assert Cursor.unpack(cursor.pack()) == cursor


@given(cursors)
def test_a_cursor_that_ends_early_or_goes_on_is_refused(cursor: Cursor) -> None:
    packed = cursor.pack()
    for cut in {1, len(packed) // 2, len(packed) - 1}:
        with pytest.raises(ValueError, match="cursor"):
            Cursor.unpack(packed[:cut])
    with pytest.raises(ValueError, match="cursor"):
        Cursor.unpack(packed + b"\0")


def test_no_bytes_are_the_beginning() -> None:
    assert Cursor.unpack(b"") == Cursor()
    assert Cursor().at_beginning
    assert not Cursor(journal=(0, 8)).at_beginning


def test_another_version_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="version 9"):
        Cursor.unpack(b"\x09" + Cursor().pack()[1:])


def test_the_most_that_a_client_can_have_fits_and_more_is_refused() -> None:
    most = Cursor(series=dict.fromkeys(range(65), (1, 1)), holes=((1, 2, 3),) * MAX_HOLES)
    assert len(most.pack()) <= MAX_BYTES
    with pytest.raises(ValueError, match="groups"):
        Cursor(series=dict.fromkeys(range(400), (1, 1))).pack()


def test_a_copy_is_its_own() -> None:
    cursor = Cursor(series={0: (0, 1)})
    copy = cursor.copy()
    copy.series[0] = (5, 5)
    assert cursor.series == {0: (0, 1)}
