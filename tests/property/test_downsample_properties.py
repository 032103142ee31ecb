"""Whatever the series and the bound: what downsampling promises holds."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contexta.interpretation.downsample import downsample

SERIES = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=300)
REPETITIVE = st.lists(st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf]), min_size=1, max_size=300)


@settings(max_examples=300, deadline=None)
@given(values=SERIES | REPETITIVE, max_points=st.integers(1, 320))
def test_downsampling_keeps_what_it_promises(values: list[float], max_points: int) -> None:
    array = np.array(values)
    kept = downsample(array, max_points)
    assert len(kept) <= max_points
    assert kept.dtype == np.int64
    assert np.all(np.diff(kept) > 0)
    if len(values) <= max_points:
        assert len(kept) == len(values)
        return
    if max_points >= 2:
        assert kept[0] == 0
        assert kept[-1] == len(values) - 1
    finite = array[np.isfinite(array)]
    if max_points >= 4 and len(finite):
        seen = array[kept]
        assert finite.min() in seen
        assert finite.max() in seen
    odd = np.flatnonzero(~np.isfinite(array))
    if max_points >= 5 and len(odd):
        assert odd[0] in kept
