"""A sender in the test's own process, turned by hand, between spools that a test writes and a daemon that obeys it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import grpc
import pytest
from fake_daemon import FakeDaemon
from spool_writer import LockHolder, SpoolWriter

from contexta.v1 import status_pb2
from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place
from contexta_client.sender.service import Service


class Rig:
    """A workspace with a fake daemon, a sender's loop that the test turns, and writers that are other processes."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "ws"
        self.workspace.mkdir()
        self.root = spool_place.choose_root(self.workspace, 1)
        self.daemon = FakeDaemon(self.workspace)
        self.holder = LockHolder()
        self.config: dict = {"daemon": {"autostart": False}}
        self.service = self.sender()

    def sender(self, **options: float) -> Service:
        return Service(self.workspace, lambda: self.config, **{"spill_after_s": 0.1, **options})

    def replace_sender(self, **options: float) -> None:
        """As if the sender had been killed: a new one knows only what spools and daemon say."""
        self.service.close()
        self.service = self.sender(**options)

    def writer(self) -> SpoolWriter:
        return SpoolWriter(self.root, holder=self.holder)

    def turn_until(self, predicate, timeout_s: float = 15.0) -> None:
        """Turn the loop until something holds."""
        deadline = monotonic() + timeout_s
        while not predicate():
            assert monotonic() < deadline, "the sender does not get there"
            if not self.service.look(monotonic()):
                self.service._nap(0.01)

    def turn(self, seconds: float) -> None:
        """Turn the loop for a while in which something must not happen."""
        end = monotonic() + seconds
        self.turn_until(lambda: monotonic() > end)

    def flush(self, writer: SpoolWriter) -> None:
        writer.words[fmt.FLUSH_REQUESTED] += 1
        self.turn_until(lambda: writer.words[fmt.FLUSH_DONE] == writer.words[fmt.FLUSH_REQUESTED])

    def close(self) -> None:
        self.service.close()
        self.daemon.stop()
        self.holder.close()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv(spool_place.BASE_VARIABLE, str(tmp_path / "spools"))
    made = Rig(tmp_path)
    yield made
    made.close()


def refusal(status: grpc.StatusCode, code: str, **fields: object):
    return status, status_pb2.ErrorDetail(code=code, **fields)
