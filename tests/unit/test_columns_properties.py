"""Whatever is logged, in whatever steps it is followed, the columns hold exactly that."""

import numpy as np
import pytest
from column_files import Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logged import NS, FakeLog, columns, entry, key_defined, rows, run_opened, scope_opened, session_opened

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.columns import chain_in, parquet, read_columns

BITS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 1 << 63, 0x7FF8 << 48, 0xFFF8 << 48, 0x7FF0 << 48, 0x7FF0000000000001, 0x7FF8000000001234]),
)
STEPS = st.one_of(st.just(0), st.integers(-(2**62), 2**62))
TIMES = st.integers(NS - 5, NS + 5)
POINT = st.tuples(BITS, STEPS, TIMES)
SINGLE = st.tuples(st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 3)]), POINT)
ROW = st.tuples(st.lists(BITS, min_size=2, max_size=2), STEPS, TIMES)
BATCH = st.one_of(
    st.tuples(st.just("columns"), st.lists(SINGLE, min_size=1, max_size=6)),
    st.tuples(st.just("rows"), st.lists(ROW, min_size=1, max_size=4)),
    st.tuples(st.just("wide"), st.lists(st.tuples(st.integers(), STEPS, TIMES), min_size=1, max_size=3)),
    st.tuples(st.just("nothing"), st.just([])),
)
KEYS = {1: "loss", 2: "acc", 3: "ünï 'x'"}


def _floats(bits):
    return np.array(bits, "<u8").view("<f8")


def _decoded(step):
    return None if step == 0 else step - (step > 0)


def _log_of(batches):
    """A log, and what it holds: (session, number of the item) -> (key, stage, step, time, bits or integer)."""
    log, held = FakeLog(), {}
    for session in (1, 2):
        log.add(
            session, session_opened(job="j", rank=session), run_opened(),
            scope_opened(2, 1, "stage", "stage:p.r.s"), *(key_defined(each, key) for each, key in KEYS.items()),
            entry(group_defined=pb.GroupDefined(group_id=1, key_id=[1, 3])),
        )  # fmt: skip
    for session, (kind, content) in batches:
        first = log.sequences[bytes([session]) * 16]
        stage = {1: None, 2: "stage:p.r.s"}
        if kind == "columns":
            series = np.array([scope << 32 | key for (scope, key), _ in content], "<u8")
            bits, steps, times = zip(*(point for _, point in content), strict=True)
            log.add(session, columns=[columns(_floats(bits), series=series, step=steps, time_ns=times)])
            for place, ((scope, key), (value, step, time_ns)) in enumerate(content):
                held[session, first + place] = (KEYS[key], stage[scope], _decoded(step), time_ns, value)
        elif kind == "rows":
            values = _floats([value for row, _, _ in content for value in row]).reshape(-1, 2).T
            steps, times = [step for _, step, _ in content], [time_ns for _, _, time_ns in content]
            log.add(session, rows=[rows(values, group=1, scope=2, step=steps, time_ns=times)])
            for place, (row, step, time_ns) in enumerate(content):
                for at, key in enumerate((1, 3)):
                    item = first + 2 * place + at
                    held[session, item] = (KEYS[key], "stage:p.r.s", _decoded(step), time_ns, row[at])
        elif kind == "wide":
            log.add(session, *(
                entry(at, wide_metric=pb.WideMetric(scope_id=1, key_id=1, value=str(whole), step=step))
                for whole, step, at in content
            ))  # fmt: skip
            for place, (whole, step, time_ns) in enumerate(content):
                held[session, first + place] = (KEYS[1], None, _decoded(step), time_ns, str(whole))
        else:
            log.add(session, run_opened(9, "run:p.other"))
    return log, held


def _found(bench):
    found = {}
    what = "session, sequence, key, stage_id, step, time_ns, value, wide, value_bits, rank, run_id, attempt"
    for session, item, key, stage, step, time_ns, value, wide, bits, rank, run_id, attempt in bench.rows(what):
        place = (bytes.fromhex(session)[0], item)
        assert place not in found and rank == place[0] and (run_id, attempt) == ("run:p.r", 1)
        kept = int(np.array([value]).view("<u8")[0]) if bits is None else bits % 2**64
        found[place] = (key, stage, step, time_ns, kept if wide is None else wide)
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(1, 2), BATCH), max_size=8), st.integers(1, 5), st.booleans(), st.data())
def test_the_columns_hold_exactly_what_was_logged(tmp_path_factory, batches, step, merged, data):
    with pytest.MonkeyPatch.context() as patch:
        if data.draw(st.booleans(), "many series"):
            patch.setattr(parquet, "FEW_SERIES", 0)
        _check_columns(tmp_path_factory, batches, step, merged, data)


def _check_columns(tmp_path_factory, batches, step, merged, data):
    log, held = _log_of(batches)
    bench = Bench(tmp_path_factory.mktemp("c"), log=log)
    bench.catch_up()
    for start in range(0, len(log.batches), step):
        part = log.batches[start : start + step]
        bench.columns.follow(part, part[-1].end)
        if data.draw(st.booleans()):
            bench.columns.flush()
    bench.columns.flush()
    if merged and len(chain := chain_in(bench.folder)) > 1:
        from contexta_daemon.columns import work

        whole, work.next_merge = work.next_merge, lambda counts: (0, len(chain)) if len(counts) > 1 else None
        try:
            assert bench.columns.merge()
        finally:
            work.next_merge = whole
        assert len(chain_in(bench.folder)) == 1
    assert _found(bench) == held
    _check_order(bench)
    for key in KEYS.values():
        _check_series(bench, key, [point for point in held.values() if point[0] == key])
    bench.close()


def _check_order(bench):
    """Each file is sorted: what has no step comes before what has, and a stage after none."""
    for file in chain_in(bench.folder):
        found = bench.rows("key, stage_id, rank, step, time_ns, session, sequence", [file])
        places = [
            (key, (stage is not None, stage), rank, (step is not None, step), *rest)
            for key, stage, rank, step, *rest in found
        ]
        assert places == sorted(places)


def _check_series(bench, key, points):
    found, _ = read_columns(bench.folder, run_id="run:p.r", attempt=1, key=key)
    bits = found.value.view(np.uint64)
    read = [
        (int(step) if has else None, int(time_ns), found.wide.get(place, int(bits[place])))
        for place, (step, has, time_ns) in enumerate(zip(found.step, found.has_step, found.time_ns, strict=True))
    ]
    assert sorted(read, key=repr) == sorted(((step, at, value) for _, _, step, at, value in points), key=repr)
