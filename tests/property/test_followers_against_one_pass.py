"""Catalog, lines and columns, each killed at any step it takes and begun again, end as one pass over the log ends."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from column_files import Bench
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from logged import (
    FakeLog,
    columns,
    entry,
    key_defined,
    rows,
    run_opened,
    scope_closed,
    scope_opened,
    session_ended,
    session_opened,
)

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.batches import decode
from contexta_daemon.catalog import Catalog
from contexta_daemon.catalog import catalog as catalog_module
from contexta_daemon.columns import files as column_files
from contexta_daemon.columns import work
from contexta_daemon.log import LoggedBatch
from contexta_daemon.mirror import Mirror
from contexta_daemon.mirror import files as line_files

FOLLOWERS = ("catalog", "mirror", "columns")
WHAT = ["grow"] * 4 + ["follow"] * 5 + ["kill"] * 4 + ["flush", "merge", "come again"]
KINDS = ["metrics", "rows", "event", "artifact", "wide", "garbage", "stage", "end"]
BODIES = st.lists(st.sampled_from(KINDS), max_size=4)


class FollowersMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="followers-"))
        self.log = FakeLog()
        self.here = Followers(self.folder / "here", self.log)
        self.sessions: list[int] = []
        self.count = 0

    def teardown(self) -> None:
        try:
            self._end_as_one_pass()
        finally:
            self.here.close()
            shutil.rmtree(self.folder)

    # One rule, since hypothesis leaves rules out at random.
    @rule(
        what=st.sampled_from(WHAT), which=st.sampled_from(FOLLOWERS), bodies=BODIES, count=st.integers(1, 5),
        at=st.integers(1, 12), torn=st.booleans(),
    )  # fmt: skip
    def go_on(self, what: str, which: str, bodies: list[str], count: int, at: int, torn: bool) -> None:
        if what == "grow":
            self._grow(bodies, new_session=at < 4)
        elif what == "follow":
            self.here.follow(which, count)
        elif what == "flush":
            self.here.bench.columns.flush()
        elif what == "merge":
            self.here.merge()
        elif what == "come again":
            self.here.come_again()
        else:
            with killed_at(at, torn=torn):
                try:
                    self.here.follow(which, count)
                    if which == "columns":
                        self.here.bench.columns.flush()
                        self.here.merge()
                except Killed:
                    pass
            self.here.come_again()

    def _grow(self, bodies: list[str], *, new_session: bool) -> None:
        if new_session or not self.sessions:
            self.sessions.append(len(self.sessions) + 1)
            number = self.sessions[-1]
            group = entry(group_defined=pb.GroupDefined(group_id=1, key_id=[1, 2]))
            run = run_opened(1, f"run:p.r{number % 3}")
            self.log.add(number, session_opened(), run, key_defined(1, "x"), key_defined(2, "y"), group)
        for kind in bodies:
            self.count += 1
            self._add(self.sessions[-1], kind)

    def _add(self, session: int, kind: str) -> None:
        number = float(self.count)
        if kind == "metrics":
            self.log.add(session, columns=[columns([number, -number], series=(1, 1), step=[self.count, 0])])
        elif kind == "rows":
            self.log.add(session, rows=[rows([[number], [float("nan")]], group=1, scope=1)])
        elif kind == "garbage":
            self.log.add_body(session, b"\xff" * 9, 1)
        else:
            ref = f"p.r{session % 3}.s-{self.count}"
            artifact = pb.ArtifactRegistered(scope_id=1, ref=f"artifact:{ref}", artifact_kind="m", path="/x")
            made = {
                "event": lambda: entry(event=pb.EventCaptured(scope_id=1, key="e", message=str(number))),
                "artifact": lambda: entry(artifact_registered=artifact),
                "wide": lambda: entry(wide_metric=pb.WideMetric(scope_id=1, key_id=2, value=str(10**30 + self.count))),
                "stage": lambda: scope_opened(self.count + 1, 1, "stage", f"stage:{ref}"),
                "end": lambda: scope_closed(1) if self.count % 2 else session_ended(lost=self.count % 4 == 0),
            }[kind]()
            self.log.add(session, made)

    def _end_as_one_pass(self) -> None:
        for which in FOLLOWERS:
            self.here.follow(which, 1 << 30)
        once = Followers(self.folder / "once", self.log)
        try:
            for which in FOLLOWERS:
                once.follow(which, 1 << 30)
            found, wanted = self.here.all_there_is(), once.all_there_is()
        finally:
            once.close()
        for part, content in wanted.items():
            assert found[part] == content, part


class Followers:
    """The followers of a daemon, in this process."""

    def __init__(self, root: Path, log: FakeLog) -> None:
        self.bench = Bench(root, log=log)
        self.root = root
        self.mirror = self._opened_mirror()

    def _opened_mirror(self) -> Mirror:
        return Mirror(self.root / "cache", self.root / "metadata" / "mirror.json", self.bench.catalog)

    def follow(self, which: str, count: int) -> None:
        """Let one take some batches, one at a time; all but the catalog wait for it."""
        for _ in range(count):
            taken = self._next(which)
            if taken is None:
                return
            follower: Any = self.mirror if which == "mirror" else getattr(self.bench, which)
            follower.follow([taken], taken.end)

    def _next(self, which: str) -> LoggedBatch | None:
        catalog, columns_of = self.bench.catalog, self.bench.columns
        at = {"catalog": catalog.position, "mirror": self.mirror.position, "columns": columns_of._taken}[which]
        for batch in self.bench.log.batches:
            if batch.position >= at and (which == "catalog" or batch.end <= catalog.position):
                return batch
        return None

    def merge(self) -> None:
        with mock.patch.object(work, "next_merge", lambda counts: (0, len(counts)) if len(counts) > 1 else None):
            self.bench.columns.merge()

    def come_again(self) -> None:
        """Nothing remains but what is on disk."""
        self.bench.columns._folder.close()
        self.mirror.close()
        self.bench.catalog.close()
        self.bench.catalog = Catalog(self.root / "metadata" / "catalog.sqlite3")
        self.bench.columns = self.bench.opened()
        self.mirror = self._opened_mirror()

    def all_there_is(self) -> dict[str, Any]:
        self.bench.columns.flush()
        with closing(sqlite3.connect(self.root / "metadata" / "catalog.sqlite3")) as connection:
            catalog = list(connection.iterdump())
        lines = {path.name: path.read_bytes() for path in (self.root / "cache").glob("*.jsonl")}
        return {"catalog": catalog, "lines": lines, "columns": sorted(map(repr, self.bench.rows()))}

    def close(self) -> None:
        self.mirror.close()
        self.bench.close()


class Killed(BaseException):
    """The process is gone at this call."""


@contextmanager
def killed_at(at: int, *, torn: bool) -> Iterator[None]:
    """Die at the so many-th call that changes a file, or batch that the catalog takes in. `torn`: a write half done."""
    calls = 0

    def step() -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Killed

    class Dying:
        def __getattr__(self, name: str) -> Any:
            real = getattr(os, name)
            if name not in ("open", "write", "ftruncate", "replace", "fsync"):
                return real

            def call(*arguments: Any, **more: Any) -> Any:
                if name == "write" and torn and calls + 1 == at:
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                step()
                return real(*arguments, **more)

            return call

    def taken(batch: LoggedBatch) -> Any:
        step()
        return decode(batch)

    with ExitStack() as patches:
        for module in (column_files, line_files):
            patches.enter_context(mock.patch.object(module, "os", Dying()))
        patches.enter_context(mock.patch.object(catalog_module, "decode", taken))
        yield


TestFollowers = FollowersMachine.TestCase
TestFollowers.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
