"""Summaries, merged batch by batch, are those of all points at once."""

import math
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from logged import NS, FakeLog, columns, entry, key_defined, rows, run_opened, scope_opened, session_opened

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.catalog import Catalog

VALUES = st.one_of(
    st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e300, -1e300])
)
BATCHES = st.lists(
    st.one_of(
        st.tuples(st.just("single"), st.sampled_from([1, 2]), st.lists(VALUES, min_size=1, max_size=20)),
        st.tuples(st.just("rows"), st.just(0), st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=10)),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(BATCHES, st.integers(1, 3))
def test_summaries_are_those_of_all_points(batches, per_follow):
    log = FakeLog()
    log.add(
        1, session_opened(), run_opened(), scope_opened(2, 1, "stage", "stage:p.r.train"), key_defined(1, "a"),
        key_defined(2, "b"), entry(group_defined=pb.GroupDefined(group_id=1, key_id=[1, 2])),
    )  # fmt: skip
    points = {"a": [], "b": []}
    clock = NS
    for kind, key, values in batches:
        times = clock + np.arange(len(values)) * 1000
        clock = int(times[-1]) + 1000
        if kind == "single":
            log.add(1, columns=[columns(values, series=(2, key), time_ns=times)])
            points["ab"[key - 1]] += values
        else:
            log.add(1, rows=[rows(np.array(values).T, group=1, scope=2, time_ns=times)])
            points["a"] += [each[0] for each in values]
            points["b"] += [each[1] for each in values]
    with tempfile.TemporaryDirectory() as folder, closing(Catalog(Path(folder) / "c.sqlite3")) as catalog:
        for start in range(0, len(log.batches), per_follow):
            part = log.batches[start : start + per_follow]
            catalog.follow(part, part[-1].end)
        with closing(catalog.connect()) as connection:
            found = {
                row[0]: row[1:]
                for row in connection.execute(
                    "SELECT key, points, finite, first_value, last_value, least, greatest, mean, squares FROM summaries"
                )
            }
    assert set(found) == {key for key, values in points.items() if values}
    for key, (count, finite_count, first, last, least, greatest, mean, squares) in found.items():
        values = np.array(points[key])
        finite = values[np.isfinite(values)]
        assert (count, finite_count) == (len(values), len(finite))
        assert same(first, values[0]) and same(last, values[-1])
        if len(finite):
            assert (least, greatest) == (finite.min(), finite.max())
            scale = float(np.abs(finite).max()) or 1.0
            # The smallest numbers of all cannot be divided: then the mean is off by some of them.
            assert math.isclose(mean, float(finite.mean()), abs_tol=max(1e-9 * scale, 1e-320))
            if 1e-100 < scale < 1e100:  # whose squares are numbers too
                assert math.isclose(squares / scale**2, float(((finite - finite.mean()) ** 2).sum()) / scale**2,
                                    rel_tol=1e-6, abs_tol=1e-9)  # fmt: skip
        else:
            assert least is None and greatest is None


def same(stored, value):
    return math.isnan(value) if stored is None else stored == value


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(0, 5), VALUES), min_size=1, max_size=20), st.data())
def test_first_last_and_odd_are_by_time_however_batches_are_cut(points, data):
    """Of equal times the first in the log is the first, and the last one the last."""
    cuts = data.draw(st.lists(st.integers(0, len(points)), max_size=4).map(sorted))
    log = FakeLog()
    log.add(1, session_opened(), run_opened(), key_defined(1, "a"), key_defined(2, "b"))
    for start, end in zip([0, *cuts], [*cuts, len(points)], strict=True):
        if part := points[start:end]:
            key, time_ns, value = (np.array(column) for column in zip(*part, strict=True))
            step = np.arange(start, end) + 1
            series = np.uint64(1 << 32) | key.astype(np.uint64)
            log.add(1, columns=[columns(value, series=series, step=step, time_ns=NS + time_ns)])
    with tempfile.TemporaryDirectory() as folder, closing(Catalog(Path(folder) / "c.sqlite3")) as catalog:
        catalog.follow(log.batches, log.committed)
        with closing(catalog.connect()) as connection:
            rows = connection.execute("SELECT key, first_value, last_value, last_step, odd_step FROM summaries")
            found = {row[0]: row[1:] for row in rows}
    assert set(found) == {"ab"[key - 1] for key, _, _ in points}
    for name, (first, last, last_step, odd_step) in found.items():
        of_key = [(at, place + 1, value) for place, (key, at, value) in enumerate(points) if "ab"[key - 1] == name]
        by_time = sorted(of_key, key=lambda point: point[0])
        assert same(first, by_time[0][2]) and same(last, by_time[-1][2])
        assert last_step == by_time[-1][1]
        assert odd_step == next((step for _, step, value in by_time if not math.isfinite(value)), None)
