"""Which stage a series is of: by its name, by its reference, and where only records that were put tell of it."""

from contextlib import closing

import numpy as np
import pytest
from column_files import Bench
from logged import columns, key_defined, run_opened, scope_opened, session_opened

from contexta.errors import NotFoundError
from contexta.v1 import query_pb2 as q
from contexta_daemon.query import read_series


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    bench.log.add(1, session_opened(), run_opened(), key_defined(1, "loss"))
    yield bench
    bench.close()


def captured(bench, *names):
    for number, name in enumerate(names):
        stage = scope_opened(number + 2, 1, "stage", f"stage:p.r.{name}")
        bench.log.add(1, stage, columns=[columns([float(number)], series=(number + 2, 1))])


def values(bench, **asked):
    """The points, the same out of the log and out of the columns."""
    bench.run()
    request = q.GetStepSeriesRequest(run_id="r", metric_key="loss", **asked)
    with closing(bench.catalog.connect()) as connection:
        replies = [read_series(connection, bench.log, request, columns=folder) for folder in (None, bench.folder)]
    found = [sorted(np.frombuffer(reply.value).tolist()) for reply in replies]
    assert found[0] == found[1]
    return found[0]


def test_a_stage_asked_for_by_reference_and_name_has_both(bench):
    captured(bench, "a", "b")
    assert values(bench, stage_id="stage:p.r.a", stage_name="a") == [0.0]
    assert (values(bench, stage_id="stage:p.r.b"), values(bench, stage_name="b")) == ([1.0], [1.0])
    for stage_id, name in (("stage:p.r.a", "b"), ("stage:p.r.none", "a"), ("stage:p.r.a", "none")):
        with pytest.raises(NotFoundError, match=rf"no stage '{stage_id}' with the name '{name}'; it has a, b\."):
            values(bench, stage_id=stage_id, stage_name=name)
