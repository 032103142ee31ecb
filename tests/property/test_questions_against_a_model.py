"""Whatever was captured in whatever order, flushed, merged and reopened in between: every question gets the answer of a
list of points in memory."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from column_files import Bench
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from logged import (
    NS,
    columns,
    entry,
    key_defined,
    rows,
    run_opened,
    scope_closed,
    scope_opened,
    session_opened,
)
from questions_model import OPERATORS, Model, Point, same

from contexta.interpretation.messages import step_series
from contexta.v1 import capture_pb2 as pb
from contexta.v1 import query_pb2 as q
from contexta_daemon.catalog import Catalog
from contexta_daemon.columns import work
from contexta_daemon.query import Listing, find_run, read_series
from contexta_daemon.query.fleet_answers import aggregate
from contexta_daemon.query.run_answers import comparison, count_records, diagnosis, list_series
from contexta_daemon.query.series_wanted import SeriesWanted
from contexta_daemon.query.sources import Sources

EXPECTED_STAGES = ("evaluate",)
RUNS, STAGES, KEYS = ("a", "b", "ab"), ("train", "evaluate"), ("loss", "acc")
STAGE_IDS = {None: 1, "train": 2, "evaluate": 3}
STATUSES = st.sampled_from(["completed", "failed", "cancelled"])
VALUES = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324])
POINTS = st.lists(st.tuples(VALUES, st.none() | st.integers(-3, 30)), min_size=1, max_size=6)
RUN, KEY, RANK = st.sampled_from(RUNS), st.sampled_from(KEYS), st.integers(0, 1)
WHAT = ["columns"] * 4 + ["rows", "begin"] * 2 + ["open", "close", "event", "flush", "merge", "die", "ask"]
PLACE = st.integers(0, 255)  # of what is there
STAGE_OF_RANK = st.tuples(RUN, RANK, st.sampled_from(STAGES))
POLICIES = ("latest", "min", "max", "mean")


class QuestionsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="questions-"))
        self.bench = Bench(self.folder)
        self.model = Model()
        self.clock = NS

    def teardown(self) -> None:
        try:
            self.ask_everything()
        finally:
            self.bench.close()
            shutil.rmtree(self.folder)

    # --- what is captured ---

    # One rule for all of it: hypothesis leaves rules out at random, and without captures there is nothing to ask for.
    @rule(
        what=st.sampled_from(WHAT),
        place=PLACE, at=STAGE_OF_RANK, key=KEY, points=POINTS, others=st.lists(VALUES, min_size=6, max_size=6),
        status=STATUSES,
    )  # fmt: skip
    def go_on(self, what: str, place: int, at: Any, key: str, points: Any, others: list[float], status: str) -> None:
        there = self.model.open_places()
        if what == "begin" or not there:
            self._begin(*at)
        elif what == "open":
            self._open_stage(*_pick(there, place)[:2], at[2])
        elif what == "columns":
            self._capture(_pick(there, place), key, points)
        elif what == "rows":
            self._capture_rows(_pick(there, place), points, others)
        elif what == "event":
            self._event(*_pick(there, place))
        elif what == "close":
            self._close(*_pick(there, place), status)
        elif what == "ask":
            self.ask_everything()
        elif what == "die":
            self._die_and_come_again(forget=place % 2 == 0)
        else:
            self.bench.run()
            if what == "merge":
                self._merge()

    def _begin(self, run: str, rank: int, stage: str) -> None:
        if (run, rank) in self.model.sessions or self.model.status(run) not in (None, "open"):
            return
        session = self.model.begin(run, rank)
        opened = session_opened(job=f"job-{run}", rank=rank)
        keys = [key_defined(place + 1, key) for place, key in enumerate(KEYS)]
        group = entry(group_defined=pb.GroupDefined(group_id=1, key_id=[1, 2]))
        self.bench.log.add(session, opened, run_opened(1, f"run:demo.{run}", time_ns=self._tick()), *keys, group)
        self._open_stage(run, rank, stage)

    def _open_stage(self, run: str, rank: int, stage: str) -> None:
        if self.model.open_stage(run, rank, stage):
            opened = scope_opened(STAGE_IDS[stage], 1, "stage", f"stage:demo.{run}.{stage}", time_ns=self._tick())
            self._add(run, rank, opened)

    def _capture(self, place: tuple[str, int, str | None], key: str, points: Any) -> None:
        times = self._note(place, key, points)
        series = (STAGE_IDS[place[2]], KEYS.index(key) + 1)
        part = columns([value for value, _ in points], series=series, step=_stored(points), time_ns=times)
        self.bench.log.add(self.model.sessions[place[:2]], columns=[part])

    def _capture_rows(self, place: tuple[str, int, str | None], points: Any, others: list[float]) -> None:
        second = [(other, step) for (_, step), other in zip(points, others, strict=False)]
        times = self._note(place, KEYS[0], points)
        self._note(place, KEYS[1], second, times)
        values = np.array([[value for value, _ in each] for each in (points, second)])
        part = rows(values, group=1, scope=STAGE_IDS[place[2]], step=_stored(points), time_ns=times)
        self.bench.log.add(self.model.sessions[place[:2]], rows=[part])

    def _close(self, run: str, rank: int, stage: str | None, status: str) -> None:
        inner = [] if stage else [each for each in STAGES if self.model.is_open(run, rank, each)]
        for each in (*inner, stage):  # a client closes what stands within before
            self.model.close(run, rank, each, status)
            self._add(run, rank, scope_closed(STAGE_IDS[each], status, time_ns=self._tick()))

    def _event(self, run: str, rank: int, stage: str | None) -> None:
        self.model.events[run] = self.model.events.get(run, 0) + 1
        made = pb.EventCaptured(scope_id=STAGE_IDS[stage], key="e", message="m")
        self._add(run, rank, entry(self._tick(), event=made))

    # --- what happens to it ---

    def _merge(self) -> None:
        whole, work.next_merge = work.next_merge, lambda counts: (0, len(counts)) if len(counts) > 1 else None
        try:
            self.bench.columns.merge()
        finally:
            work.next_merge = whole

    def _die_and_come_again(self, *, forget: bool) -> None:
        """What is in memory is gone; `forget`: the catalog too, which is made again."""
        self.bench.columns._folder.close()
        self.bench.catalog.close()
        path = self.folder / "metadata" / "catalog.sqlite3"
        if forget:
            for each in path.parent.glob(path.name + "*"):
                each.unlink()
        self.bench.catalog = Catalog(path)
        self.bench.columns = self.bench.opened()

    # --- what is asked ---

    def ask_everything(self) -> None:
        with self._sources() as sources:
            for run in self.model.order:
                self._check_series(sources, run)
                self._check_summaries(sources, run)
                self._check_diagnosis(sources, run)
            for policy in POLICIES:
                for left, right in product(self.model.order, repeat=2):
                    self._check_comparison(sources, left, right, policy)
                for key in KEYS:
                    self._check_statistics(sources, key, policy)
            self._check_runs(sources)

    def _check_series(self, sources: Sources, run: str) -> None:
        for key, stage, rank in product(KEYS, (None, "", *STAGES), (None, 0, 1)):
            wanted = self.model.series(run, key, stage, rank)
            if not wanted:
                continue
            if stage == "":  # of the run itself, as charts ask
                found = sources.series(SeriesWanted(find_run(sources.connection, run), key, "", rank))
            else:
                asked = q.GetStepSeriesRequest(run_id=run, metric_key=key, stage_name=stage or "", rank=rank)
                reply = read_series(sources.connection, sources.log, asked, columns=sources.columns)
                found = step_series(reply, key)
            steps = [int(step) if has else None for step, has in zip(found.steps, found.has_step, strict=True)]
            assert list(zip(steps, found.times_ns, strict=True)) == [(point.step, point.time_ns) for point in wanted]
            assert found.values.tobytes() == np.array([point.value for point in wanted]).tobytes()
            assert list(found.ranks) == [point.rank for point in wanted]

    def _check_runs(self, sources: Sources) -> None:
        thresholds = {0.0, *(point.value for point in self.model.points[-3:] if not math.isnan(point.value))}
        conditions = [("", ""), *product(KEYS, OPERATORS)]
        for part, status, (key, name) in product(("", "b", "AB"), ("", "open", "failed"), conditions):
            for threshold in thresholds if name else (0.0,):
                asked = q.ListRunsRequest(name_contains=part, status=status)
                if name:
                    asked.metric_conditions.add(metric_key=key, operator=name, threshold=threshold)
                found = Listing(sources.connection).runs(asked)
                wanted = self.model.runs(part, status, key, name, threshold)
                assert [run.name for run in found.runs] == wanted, (part, status, key, name, threshold)
        for limit, offset, descending in product((None, 0, 1, 5), (0, 1, 5), (False, True)):
            wanted = self.model.order[:: -1 if descending else 1][offset:][:limit]
            asked = q.ListRunsRequest(sort_desc=descending, offset=offset, limit=limit)
            found = Listing(sources.connection).runs(asked)
            assert found.total == len(self.model.order)
            assert [(run.name, run.status, run.metric_count) for run in found.runs] == [
                (name, self.model.status(name), len(self.model.series(name))) for name in wanted
            ]

    def _check_summaries(self, sources: Sources, run: str) -> None:
        found = list_series(sources, q.ListSeriesRequest(run_id=run)).series
        count = count_records(sources, q.CountRecordsRequest(filter=q.RecordFilter(run_id=f"run:demo.{run}")))
        assert count.count == len(self.model.series(run)) + self.model.events.get(run, 0)
        wanted = self.model.by_series(run)
        assert {(each.stage_name, each.metric_key, each.rank) for each in found} == set(wanted)
        for each in found:
            points = wanted[each.stage_name, each.metric_key, each.rank]
            finite = [point.value for point in points if math.isfinite(point.value)]
            assert (each.count, each.non_finite) == (len(points), len(points) - len(finite))
            assert same(each.first, points[0].value) and same(each.last, points[-1].value)
            assert each.HasField("min") == bool(finite)
            if finite:
                assert (each.min, each.max) == (min(finite), max(finite))
                assert same(each.mean, math.fsum(finite) / len(finite), close=True)

    def _check_comparison(self, sources: Sources, left: str, right: str, policy: str) -> None:
        asked = q.CompareRunsRequest(left_run_id=left, right_run_id=right, policy=policy)
        compared = {
            ("" if stage.stage_name == "(run)" else stage.stage_name, delta.metric_key): delta
            for stage in comparison(sources, asked).stage_comparisons
            for delta in stage.metric_deltas
        }
        assert set(compared) == {place[:2] for run in (left, right) for place in self.model.by_series(run)}
        for (stage, key), delta in compared.items():
            sides = [self.model.value(run, key, policy, stage) for run in (left, right)]
            for name, side in zip(("left_value", "right_value"), sides, strict=True):
                assert delta.HasField(name) == (side is not None)
                assert side is None or same(getattr(delta, name), side, close=True)

    def _check_statistics(self, sources: Sources, key: str, policy: str) -> None:
        found = aggregate(sources, q.AggregateRequest(metric_key=key, policy=policy, by="stage")).groups
        for stage in ("", *STAGES):
            values = [self.model.value(run, key, policy, stage) for run in RUNS]
            finite = [value for value in values if value is not None and math.isfinite(value)]
            (group,) = [each.aggregate for each in found if each.name == stage] or [None]
            assert (group.count if group else 0) == len(finite)
            if group:
                for side, value in ((group.min, min(finite)), (group.max, max(finite))):
                    assert same(side, value, close=True)
                assert same(group.mean, math.fsum(finite) / len(finite), close=True)

    def _check_diagnosis(self, sources: Sources, run: str) -> None:
        codes = Counter(issue.code for issue in diagnosis(sources, q.RunRequest(run_id=run)).issues)
        assert codes == self.model.issues(run, EXPECTED_STAGES)

    # --- within ---

    def _sources(self) -> Any:
        self.bench.catch_up()
        connection = self.bench.catalog.connect()
        log = self.bench.log
        return _Closing(Sources(connection, log, log.committed, EXPECTED_STAGES, columns=self.bench.folder))

    def _add(self, run: str, rank: int, made: pb.Entry) -> None:
        self.bench.log.add(self.model.sessions[run, rank], made)

    def _note(self, place: Any, key: str, points: Any, times: Sequence[int] | None = None) -> list[int]:
        """Tell the model of points; return their times, the next ones unless given."""
        run, rank, stage = place
        times = [self._tick() for _ in points] if times is None else list(times)
        for (value, step), time_ns in zip(points, times, strict=True):
            self.model.points.append(Point(run, stage or "", key, rank, step, time_ns, value))
        return times

    def _tick(self) -> int:
        self.clock += 1_000_000
        return self.clock


class _Closing(closing):
    def __enter__(self) -> Sources:
        return self.thing

    def __exit__(self, *_: object) -> None:
        self.thing.connection.close()


def _pick(found: Sequence[Any], place: int) -> Any:
    return found[place % len(found)]


def _stored(points: Sequence[tuple[float, int | None]]) -> list[int]:
    return [0 if step is None else step + (step >= 0) for _, step in points]


TestQuestions = QuestionsMachine.TestCase
TestQuestions.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
