"""How sessions end: as their processes did, with what was dropped counted, whatever the sender and the daemon do."""

from __future__ import annotations

import shutil
from pathlib import Path
from time import monotonic

import pytest
from sender_rig import Rig
from sender_rig import rig as rig
from spool_writer import SpoolWriter

from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place
from contexta_client.sender import daemon_start, session


@pytest.mark.parametrize(
    ("ended", "closed", "lost"), [(True, False, False), (False, True, False), (False, False, True)]
)
def test_a_session_whose_process_is_gone_is_ended_as_it_was(rig: Rig, ended: bool, closed: bool, lost: bool) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    for value in range(5):
        writer.row(float(value), time=int(value != 2))
    if closed:
        writer.entry("scope_closed", scope_id=1, status="completed")
    rig.flush(writer)
    writer.vanish(ended=ended)
    rig.turn_until(lambda: not writer.path.exists())
    kept = rig.daemon.only()
    assert kept.closed
    assert kept.values == [0.0, 1.0, 3.0, 4.0]
    assert [each.lost for each in kept.of("session_ended")] == [lost]
    assert kept.entries[-1].WhichOneof("kind") == "session_ended"
    assert kept.dropped == {"torn": (1, 0)}
    assert writer.words[fmt.DRAINED] == 1


def test_a_session_is_not_closed_before_its_last_records_are_durable(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    rig.flush(writer)
    rig.daemon.gate.clear()
    writer.row(1.0)
    writer.vanish(ended=True)
    session = rig.service.sessions[writer.session_id]
    rig.turn_until(lambda: session.stage == "ending" and session.is_sending)
    rig.turn(0.2)
    assert (session.stage, writer.words[fmt.DRAINED]) == ("ending", 0)
    rig.daemon.gate.set()
    rig.turn_until(lambda: not writer.path.exists())
    assert (rig.daemon.only().closed, rig.daemon.only().values) == (True, [1.0])


def test_a_lost_worker_is_told_by_a_sender_that_came_after_the_journals_beginning_was_deleted(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    rig.flush(writer)
    writer.block(fmt.JOURNAL)[0:4] = bytes(4)
    memory = rig.service.sessions[writer.session_id].reader.block(fmt.JOURNAL, 0, 0)
    assert memory is not None
    _end_first_journal_block(writer)
    writer.entry("event", key="e")
    rig.flush(writer)
    rig.turn_until(lambda: not (writer.path / "journal-0").exists())
    rig.replace_sender()
    writer.vanish()
    rig.turn_until(lambda: not writer.path.exists())
    assert [each.lost for each in rig.daemon.only().of("session_ended")] == [True]


def _end_first_journal_block(writer: SpoolWriter) -> None:
    """Say in block 0 that the journal goes on in block 1."""
    path = writer.path / "journal-0"
    data = bytearray(path.read_bytes())
    at = fmt.BLOCK_HEADER_BYTES
    while length := int.from_bytes(data[at : at + 4], "little"):
        at += fmt.frame_bytes(length)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(fmt.END_OF_BLOCK.to_bytes(4, "little"))


def test_what_was_dropped_is_told_once_while_it_grows_and_at_the_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOSSES_EVERY_S", 0.0)
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    writer.words[fmt.DROPPED_METRICS] = 10
    rig.turn_until(lambda: rig.daemon.sessions and rig.daemon.only().dropped.get("spool_full") == (10, 0))
    writer.words[fmt.DROPPED_METRICS] = 12
    writer.words[fmt.DROPPED_DISK_ENTRIES] = 1
    writer.words[fmt.DROPPED_LARGE_ENTRIES] = 2
    writer.vanish(ended=True)
    rig.turn_until(lambda: not writer.path.exists())
    kept = rig.daemon.only()
    assert kept.dropped == {"spool_full": (12, 0), "disk_full": (0, 1), "too_large": (0, 2)}
    assert len(kept.of("dropped")) == 4


def test_a_drained_spool_is_only_closed_and_deleted(rig: Rig) -> None:
    writer = rig.writer()
    writer.begin()
    writer.words[fmt.DRAINED] = 1
    writer.vanish()
    rig.daemon.start()
    rig.turn_until(lambda: not writer.path.exists())
    assert rig.daemon.sessions == {}


def test_a_broken_connection_while_closing_ends_well(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    rig.flush(writer)
    rig.daemon.close_gate.clear()
    writer.vanish(ended=True)
    rig.turn_until(lambda: writer.words[fmt.DRAINED] == 1)
    rig.daemon.stop()
    rig.turn_until(lambda: rig.service.link.connection is None)
    rig.daemon.start()
    rig.turn_until(lambda: not writer.path.exists())
    assert rig.daemon.only().closed
    assert len(rig.daemon.only().of("session_ended")) == 1


def test_what_dead_processes_left_goes_with_a_deleted_workspace(rig: Rig) -> None:
    writer, living = rig.writer(), rig.writer()
    writer.begin()
    rig.turn_until(lambda: len(rig.service.sessions) == 2)
    writer.vanish()
    shutil.rmtree(rig.workspace)
    rig.turn_until(lambda: not writer.path.exists())
    assert living.path.exists()


@pytest.mark.parametrize("gone", ["unplugged", "renamed", "under a file"])
def test_what_dead_processes_left_waits_for_a_workspace_whose_disk_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    monkeypatch.setenv(spool_place.BASE_VARIABLE, str(tmp_path / "spools"))
    disk, away = tmp_path / "disk", tmp_path / "away"
    disk.mkdir()
    rig = Rig(disk)
    writer = rig.writer()
    writer.begin()
    rig.turn_until(lambda: rig.service.sessions)
    disk.rename(away)
    if gone == "unplugged":
        disk.mkdir()  # the folder on which it was mounted
    elif gone == "under a file":
        disk.touch()
    writer.vanish()
    rig.turn_until(lambda: not rig.service.sessions)  # it is not kept waiting for, and no daemon is started for it
    assert not rig.service.spools.wanted()
    rig.replace_sender()
    rig.turn_until(lambda: not rig.service.sessions)
    rig.turn(0.3)
    assert writer.path.exists()
    if gone != "renamed":
        disk.unlink() if disk.is_file() else disk.rmdir()
    away.rename(disk)
    rig.daemon.start()
    rig.turn_until(lambda: not writer.path.exists())
    assert rig.daemon.only().closed
    rig.close()


def test_what_the_first_process_left_before_the_workspace_was_made_is_kept(rig: Rig) -> None:
    writer = rig.writer()
    writer.begin()
    writer.vanish()
    shutil.rmtree(rig.workspace)
    rig.turn(0.3)
    assert writer.path.exists()


def test_a_daemon_is_not_started_at_every_look(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[float] = []

    def fail(workspace: Path, config: object) -> object:
        starts.append(monotonic())
        raise OSError("no such program")

    monkeypatch.setattr(daemon_start, "start_daemon", fail)
    rig.config["daemon"] = {"autostart": True}
    writer = rig.writer()
    writer.begin()
    rig.turn_until(lambda: "no such program" in writer.trouble())
    rig.turn(0.3)
    assert len(starts) == 1


def test_workers_are_reported_with_what_waits(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    writer.words[fmt.DROPPED_METRICS] = 3
    rig.flush(writer)
    rig.service._next_report = 0.0
    rig.turn_until(lambda: rig.daemon.reports and rig.daemon.reports[0].durable >= 3)
    (report,) = rig.daemon.reports
    assert (report.session_id, report.pid, report.alive, report.dropped) == (writer.session_id, 4242, True, 3)
    assert report.spool_bytes == writer.words[fmt.CREATED_BYTES]


def test_one_bad_spool_does_not_keep_the_others_waiting(rig: Rig) -> None:
    rig.daemon.start()
    bad, good = rig.writer(), rig.writer()
    bad.entry("event", key="e")
    for group in range(1, 400):  # more than a cursor can hold
        bad.group_row(group, [1.0, 2.0], capacity=1)
    good.begin()
    rig.flush(good)
    assert rig.daemon.sessions[good.session_id].next_sequence == 3
    assert bad.path.exists()
