import hashlib
import os
import threading

import anyio
import anyio.to_thread
from logged import FakeLog, entry, run_opened, session_id_of, session_opened

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.artifacts import Hasher, hashing
from contexta_daemon.catalog import Catalog


class Workshop:
    """A catalog, a hasher, and a log that both write and read at once."""

    def __init__(self, root):
        self.log = FakeLog()
        self.catalog = Catalog(root / "catalog.sqlite3")
        self.moved = anyio.Event()
        self.appended = []

    def add(self, session, *entries):
        self.log.add(session, *entries)
        self.catalog.follow(list(self.log.read(self.catalog.position)), self.log.committed)
        moved, self.moved = self.moved, anyio.Event()
        moved.set()

    async def append(self, entries):
        self.appended += [each.artifact_hashed for each in entries]
        self.add(9, *entries)

    async def until_said(self, count):
        while len(self.appended) < count:
            await self.moved.wait()

    def hasher(self, append=None, store=None, caught_up=None):
        async def nothing():
            pass

        return Hasher(self.catalog, append=append or self.append, watch_catalog=lambda: self.moved.wait,
                      catalog_caught_up=caught_up or nothing, store=store)


def registered(path, name):
    found = path.stat() if path.exists() else os.stat_result([0] * 10)
    return entry(artifact_registered=pb.ArtifactRegistered(
        scope_id=1, ref=f"artifact:p.r.{name}", artifact_kind="m", path=str(path), exists=True, compute_hash=True,
        size_bytes=found.st_size, modified_ns=found.st_mtime_ns or 0, inode=found.st_ino,
    ))  # fmt: skip


def play(tmp_path, body):
    async def main():
        shop = Workshop(tmp_path)
        shop.add(1, session_opened(), run_opened())
        with anyio.fail_after(60):
            await body(shop)
        shop.catalog.close()

    anyio.run(main)


def test_what_is_registered_is_hashed_and_said_in_the_log(tmp_path):
    async def body(shop):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.hasher().run)
            for number in range(5):
                path = tmp_path / f"f{number}"
                path.write_bytes(b"%d" % number)
                shop.add(1, registered(path, f"m-{number}"))
            shop.add(1, registered(tmp_path / "gone", "gone"))
            await shop.until_said(6)
            tasks.cancel_scope.cancel()
        assert {each.ref: each.hash_value for each in shop.appended[:5]} == {
            f"artifact:p.r.m-{n}": "sha256:" + hashlib.sha256(b"%d" % n).hexdigest() for n in range(5)
        }
        assert shop.appended[5].problem == "missing"
        assert shop.catalog.pending_artifacts() == []

    play(tmp_path, body)


def test_a_hash_that_was_not_said_before_the_end_is_computed_by_the_next_daemon(tmp_path):
    async def body(shop):
        (tmp_path / "f").write_bytes(b"x")
        shop.add(1, registered(tmp_path / "f", "m"))
        reached = anyio.Event()

        async def never(entries):
            reached.set()
            await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.hasher(append=never).run)
            await reached.wait()
            tasks.cancel_scope.cancel()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.hasher().run)
            await shop.until_said(1)
            tasks.cancel_scope.cancel()
        assert [each.ref for each in shop.appended] == ["artifact:p.r.m"]

    play(tmp_path, body)


def test_a_hash_that_the_log_has_and_the_catalog_not_yet_is_not_said_again(tmp_path):
    async def body(shop):
        for name in ("m", "n"):
            (tmp_path / name).write_bytes(b"x")
            shop.add(1, registered(tmp_path / name, name))
        shop.log.add(9, entry(artifact_hashed=pb.ArtifactHashed(ref="artifact:p.r.m", session_id=session_id_of(1))))

        async def catch_up():  # the daemon was killed before its catalog did
            shop.catalog.follow(list(shop.log.read(shop.catalog.position)), shop.log.committed)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.hasher(caught_up=catch_up).run)
            await shop.until_said(1)
            tasks.cancel_scope.cancel()
        assert [each.ref for each in shop.appended] == ["artifact:p.r.n"]

    play(tmp_path, body)


def test_a_log_that_refuses_is_tried_again(tmp_path, monkeypatch):
    from contexta_daemon.artifacts import hasher

    monkeypatch.setattr(hasher, "RETRY_S", 0.01)

    async def body(shop):
        (tmp_path / "f").write_bytes(b"x")
        shop.add(1, registered(tmp_path / "f", "m"))
        refusals = [OSError(28, "full"), OSError(28, "full")]

        async def sometimes(entries):
            if refusals:
                raise refusals.pop()
            await shop.append(entries)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.hasher(append=sometimes).run)
            await shop.until_said(1)
            tasks.cancel_scope.cancel()

    play(tmp_path, body)


def test_a_daemon_that_ends_does_not_read_a_long_file_to_its_end(tmp_path, monkeypatch):
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a day's reading, all of it a hole
    begun = threading.Event()
    real = os.readv

    def readv(*args):
        begun.set()
        return real(*args)

    monkeypatch.setattr(hashing.os, "readv", readv)

    async def body(shop):
        hasher = shop.hasher(store=tmp_path / "objects")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hasher.run)
            shop.add(1, registered(path, "m"))
            assert await anyio.to_thread.run_sync(begun.wait, 60)
            hasher.end()
            tasks.cancel_scope.cancel()
        assert shop.appended == [] and len(shop.catalog.pending_artifacts()) == 1
        assert [each.name for each in (tmp_path / "objects").rglob("*")] == []

    play(tmp_path, body)
