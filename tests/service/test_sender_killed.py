"""Sender processes: killed at any moment, started many at once, told to end. The daemon is in this process."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_daemon import FakeDaemon
from spool_writer import LockHolder, SpoolWriter
from waiting import wait_until

from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place
from contexta_client.capture.sender_start import sender_environment


class Rig:
    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "ws"
        self.workspace.mkdir()
        self.root = spool_place.choose_root(self.workspace, 1)
        self.configure(nice=0)  # a busy machine shall not make the tests last
        self.daemon = FakeDaemon(self.workspace)
        self.holder = LockHolder()
        self.senders: list[subprocess.Popen[bytes]] = []

    def configure(self, *, nice: int) -> None:
        settings = {"daemon": {"autostart": False, "nice": nice}}
        (self.root / spool_place.CONFIG_NAME).write_text(json.dumps(settings))

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-P", "-m", "contexta_client.sender", "--workspace", str(self.workspace)]
        sender = subprocess.Popen([*arguments, *options], env=sender_environment())
        self.senders.append(sender)
        return sender

    def writer(self) -> SpoolWriter:
        return SpoolWriter(self.root, holder=self.holder)

    def flush(self, writer: SpoolWriter) -> None:
        writer.words[fmt.FLUSH_REQUESTED] += 1
        wait_until(lambda: writer.words[fmt.FLUSH_DONE] == writer.words[fmt.FLUSH_REQUESTED])

    def close(self) -> None:
        for sender in self.senders:
            sender.kill()
            sender.wait(60)
        self.daemon.stop()
        self.holder.close()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv(spool_place.BASE_VARIABLE, str(tmp_path / "spools"))
    made = Rig(tmp_path)
    yield made
    made.close()


def test_nothing_is_lost_or_doubled_when_senders_are_killed_at_any_moment(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    chance = random.Random(7)
    written = 0

    def kept_items() -> int:
        return rig.daemon.only().next_sequence if rig.daemon.sessions else 0

    for _ in range(6):
        sender = rig.start("--foreground")
        aim = kept_items() + chance.randrange(1, 5_000)
        while kept_items() < aim:
            wait_until(lambda ahead=written - 10_000: kept_items() > ahead)
            for _ in range(500):
                writer.row(float(written), capacity=1024)
                written += 1
            writer.entry("event", key=f"e{written}", message="m")
        sender.kill()
        sender.wait(60)
    rig.start("--foreground")
    rig.flush(writer)
    kept = rig.daemon.only()
    assert kept.values == [float(value) for value in range(written)]
    assert [each.key for each in kept.of("event")] == [f"e{number}" for number in range(500, written + 1, 500)]
    assert kept.next_sequence == 3 + written + written // 500
    assert kept.dropped == {}


def test_a_killed_sender_and_a_killed_writer_leave_nothing_behind(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    writer.row(1.0)
    sender = rig.start("--foreground")
    rig.flush(writer)
    sender.kill()
    sender.wait(60)
    writer.row(2.0)
    writer.vanish()
    rig.start("--foreground")
    wait_until(lambda: not writer.path.exists())
    assert rig.daemon.only().values == [1.0, 2.0]
    assert [each.lost for each in rig.daemon.only().of("session_ended")] == [True]


def test_of_ten_senders_at_once_one_works_and_nine_end_at_once(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    senders = [rig.start("--foreground") for _ in range(10)]
    wait_until(lambda: sum(sender.poll() is None for sender in senders) == 1)
    assert [sender.returncode for sender in senders if sender.returncode is not None] == [0] * 9
    (working,) = [sender for sender in senders if sender.poll() is None]
    rig.flush(writer)
    assert writer.words[fmt.SENDER_PID] == working.pid
    assert rig.daemon.only().next_sequence == 3


def test_a_sender_leaves_its_starters_session_and_the_first_process_ends_at_once(rig: Rig) -> None:
    rig.daemon.start()
    rig.configure(nice=10)
    writer = rig.writer()
    writer.begin()
    started = rig.start()
    assert started.wait(20) == 0
    wait_until(lambda: writer.words[fmt.SENDER_PID])
    pid = writer.words[fmt.SENDER_PID]
    try:
        assert pid != started.pid
        assert os.getsid(pid) == pid != os.getsid(0)
        assert {Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)} == {Path(os.devnull)}
        assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
        rig.flush(writer)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_told_to_end_a_sender_waits_for_what_is_in_flight_and_leaves_the_rest(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    sender = rig.start("--foreground")
    rig.flush(writer)
    rig.daemon.gate.clear()
    writer.row(1.0)
    writer.words[fmt.FLUSH_REQUESTED] += 1
    sender.send_signal(signal.SIGTERM)
    writer.row(2.0)
    rig.daemon.gate.set()
    assert sender.wait(20) == 0
    rig.start("--foreground")
    rig.flush(writer)
    assert rig.daemon.only().values == [1.0, 2.0]


def test_a_sender_with_nothing_left_to_do_ends_by_itself(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    writer.vanish(ended=True)
    sender = rig.start("--foreground")
    assert sender.wait(30) == 0
    assert rig.daemon.only().closed
    assert "is delivered" in (rig.workspace / "daemon" / "sender.log").read_text()


def test_a_sender_whose_lock_file_was_removed_makes_room_for_another(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    sender = rig.start("--foreground")
    rig.flush(writer)
    (rig.root / spool_place.LOCK_NAME).unlink()
    assert sender.wait(20) == 0
    rig.start("--foreground")
    writer.row(1.0)
    rig.flush(writer)
    assert rig.daemon.only().values == [1.0]
