"""What a sender does with a daemon that is slow, full, forgetful, silent, gone: nothing is lost or sent twice."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from time import monotonic

import grpc
import pytest
from sender_rig import Rig, refusal
from sender_rig import rig as rig

from contexta_client.capture import spool_format as fmt
from contexta_client.sender import batches, daemon_link, session
from contexta_client.sender.follow import Ends, SpoolReader


def test_a_flush_is_answered_when_all_before_it_is_durable_and_not_earlier(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    rig.flush(writer)
    rig.daemon.gate.clear()
    writer.row(1.0)
    writer.words[fmt.FLUSH_REQUESTED] += 1
    rig.turn(0.2)
    assert writer.words[fmt.FLUSH_DONE] == 1
    rig.daemon.gate.set()
    rig.flush(writer)
    assert rig.daemon.only().values == [1.0]
    assert writer.words[fmt.DURABLE_ITEMS] == rig.daemon.only().next_sequence == 4
    assert writer.words[fmt.DELIVERY_STATE] == fmt.DELIVERING


def test_a_flush_asked_for_while_the_sender_looks_waits_for_what_came_before_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    rig.flush(writer)
    looked, late = SpoolReader.ends, [2.0]

    def ends(reader: SpoolReader, **options: bool) -> Ends:
        found = looked(reader, **options)
        if late and rig.daemon.only().values == []:
            writer.row(late.pop())  # the sender has just looked, and did not see it
            writer.words[fmt.FLUSH_REQUESTED] += 1
        return found

    monkeypatch.setattr(SpoolReader, "ends", ends)
    writer.row(1.0)
    rig.turn_until(lambda: not late and writer.words[fmt.FLUSH_DONE] == writer.words[fmt.FLUSH_REQUESTED])
    assert rig.daemon.only().values == [1.0, 2.0]


def test_a_settle_is_asked_of_the_daemon_and_answered_when_it_is_settled(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    answers = [False, False, True]
    rig.daemon.settles = lambda: answers.pop(0)
    writer.words[fmt.SETTLE_REQUESTED] = 5
    rig.turn_until(lambda: writer.words[fmt.SETTLE_DONE] == 5)
    assert rig.daemon.settled == [(writer.session_id, 3)] * 3
    assert answers == []


def test_low_rates_share_batches_and_a_closing_scope_goes_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LINGER_S", 600.0)
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    for value in range(20):
        writer.row(float(value))
        rig.service.look(monotonic())
    rig.turn(0.2)
    assert rig.daemon.sessions == {}
    writer.entry("scope_closed", scope_id=1, status="completed", time_ns=5)
    rig.turn_until(lambda: rig.daemon.sessions and rig.daemon.only().values)
    assert len(rig.daemon.only().values) == 20


def test_many_rows_go_without_lingering_in_bounded_batches(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LINGER_S", 600.0)
    monkeypatch.setattr(batches, "MAX_ITEMS", 2_000)
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    for value in range(20_000):
        writer.row(float(value), capacity=4096)
    rig.turn_until(lambda: rig.daemon.sessions and len(rig.daemon.only().values) == 20_000)
    assert rig.daemon.only().values == [float(value) for value in range(20_000)]
    assert max(rig.daemon.only().counts) <= 2_003


# --- the daemon says no ---


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "admission_full"),
        (grpc.StatusCode.UNAVAILABLE, "storage_full"),
        (grpc.StatusCode.DATA_LOSS, "checksum_mismatch"),
        (grpc.StatusCode.ABORTED, "sequence_gap"),
        (grpc.StatusCode.UNAVAILABLE, ""),
        (grpc.StatusCode.INTERNAL, "internal"),
    ],
)
def test_what_is_refused_is_sent_again_in_order_and_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, status: grpc.StatusCode, code: str
) -> None:
    monkeypatch.setattr(batches, "MAX_ITEMS", 100)
    monkeypatch.setattr(session, "LAST_BACKOFF_S", 0.02)
    calls = iter(range(1_000))
    rig.daemon.refuse = lambda request: refusal(status, code, retry_after_ms=10) if next(calls) % 3 else None
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    for value in range(1_000):
        writer.row(float(value), capacity=256)
    rig.flush(writer)
    assert rig.daemon.only().values == [float(value) for value in range(1_000)]
    assert rig.daemon.only().next_sequence == 1_003


def test_the_writer_is_told_what_the_daemon_has_against_its_records(rig: Rig) -> None:
    no = [True]
    rig.daemon.refuse = lambda request: (
        refusal(grpc.StatusCode.UNAVAILABLE, "storage_full", message="no room on /data") if no else None
    )
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    rig.turn_until(lambda: "no room on /data" in writer.trouble())
    assert writer.words[fmt.DELIVERY_STATE] == fmt.PUSHED_BACK
    no.clear()
    rig.turn_until(lambda: writer.trouble() == "")
    assert rig.daemon.only().next_sequence == 3


def test_a_wrong_token_is_said_and_nothing_is_lost(rig: Rig) -> None:
    rig.daemon.start()
    (rig.workspace / "daemon" / "token").write_text("0" * 64)
    writer = rig.writer()
    writer.begin()
    rig.turn_until(lambda: "token" in writer.trouble())
    rig.daemon.stop()
    rig.daemon.start()
    rig.flush(writer)
    assert rig.daemon.only().next_sequence == 3


# --- the daemon is away ---


def test_without_a_daemon_the_writer_is_told_and_all_is_delivered_when_one_comes(rig: Rig) -> None:
    writer = rig.writer()
    writer.begin()
    rig.turn_until(lambda: "autostart" in writer.trouble())
    assert writer.words[fmt.DELIVERY_STATE] == fmt.UNREACHABLE
    rig.daemon.start()
    rig.flush(writer)
    assert (writer.trouble(), writer.words[fmt.DELIVERY_STATE]) == ("", fmt.DELIVERING)


def test_a_daemon_of_another_version_is_named(rig: Rig) -> None:
    rig.daemon.start(version="9.9", protocol_min=7, protocol_max=8)
    writer = rig.writer()
    writer.begin()
    rig.turn_until(lambda: "9.9" in writer.trouble())
    assert rig.daemon.sessions == {}


def test_a_daemon_that_is_silent_is_unreachable_until_it_answers(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_link, "SILENT_S", 0.2)
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    rig.flush(writer)
    rig.daemon.gate.clear()
    writer.row(1.0)
    rig.turn_until(lambda: "has not answered" in writer.trouble())
    assert writer.words[fmt.DELIVERY_STATE] == fmt.UNREACHABLE
    rig.daemon.gate.set()
    rig.turn_until(lambda: writer.trouble() == "")
    rig.flush(writer)
    assert rig.daemon.only().values == [1.0]


def test_heartbeats_go_on_while_the_daemon_is_silent(rig: Rig) -> None:
    rig.daemon.start()
    rig.daemon.gate.clear()
    writer = rig.writer()
    writer.begin()
    rig.turn_until(lambda: writer.words[fmt.HEARTBEAT_NS])
    beats = [writer.words[fmt.HEARTBEAT_NS]]

    def beat() -> bool:
        if writer.words[fmt.HEARTBEAT_NS] != beats[-1]:
            beats.append(writer.words[fmt.HEARTBEAT_NS])
        return len(beats) > 8

    rig.turn_until(beat)
    assert max(later - earlier for earlier, later in pairwise(beats)) < 250_000_000


def test_a_daemon_that_comes_back_elsewhere_is_followed(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    writer.row(0.0)
    rig.flush(writer)
    rig.daemon.stop()
    writer.row(1.0)
    rig.turn_until(lambda: writer.words[fmt.DELIVERY_STATE] == fmt.UNREACHABLE)
    rig.daemon.start()
    rig.flush(writer)
    assert rig.daemon.only().values == [0.0, 1.0]


def test_a_daemon_that_forgot_a_session_is_told_again_what_records_refer_to(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    writer.entry("scope_opened", scope_id=2, parent_id=1, kind=2, ref="stage:demo.one.a", name="a")
    writer.entry("scope_opened", scope_id=3, parent_id=1, kind=2, ref="stage:demo.one.b", name="b")
    writer.entry("scope_closed", scope_id=2, status="completed")
    writer.row(0.0)
    rig.flush(writer)
    rig.daemon.sessions.clear()
    rig.daemon.stop()
    rig.turn_until(lambda: rig.service.link.connection is None)
    writer.row(1.0, series=3 << 32 | 1)
    rig.daemon.start()
    rig.flush(writer)
    kept = rig.daemon.only()
    assert len(kept.of("session_opened")) == 1
    assert [each.scope_id for each in kept.of("scope_opened")] == [1, 3]
    assert [each.key for each in kept.of("key_defined")] == ["loss"]
    assert kept.values == [1.0]


# --- room ---


def test_delivered_blocks_are_deleted_and_their_room_is_told(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    for value in range(100):
        writer.row(float(value), capacity=16)
    rig.flush(writer)
    assert sorted(file.name for file in writer.path.glob("*-*")) == ["journal-0", "rows-6"]
    left = sum(file.stat().st_size for file in writer.path.glob("*-*"))
    assert writer.words[fmt.CREATED_BYTES] - writer.words[fmt.RELEASED_BYTES] == left


def test_a_block_with_a_hole_stays_until_the_hole_is_filled(rig: Rig) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    for value in range(15):
        writer.row(float(value), capacity=16)
    slot = writer.row(15.0, time=0, capacity=16)
    held = writer._blocks[fmt.ROWS, 0][1]
    writer.row(16.0, capacity=16)
    rig.flush(writer)
    assert (writer.path / "rows-0").exists()
    held[3 * 16 * 8 :].cast("q")[slot] = 1
    rig.flush(writer)
    assert rig.daemon.only().values == [*map(float, range(15)), 16.0, 15.0]
    rig.turn_until(lambda: not (writer.path / "rows-0").exists())


@pytest.mark.parametrize("what", ["root", "spool", "header", "rows-1", "journal-0"])
def test_what_the_system_does_not_show_for_now_is_not_taken_for_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    writer = rig.writer()
    writer.begin()
    for value in range(100):
        writer.row(float(value), capacity=16)
    writer.vanish(ended=True)
    place = {"root": rig.root, "spool": writer.path}.get(what, writer.path / what)
    refused = []
    for name in ("listdir", "open"):
        really = getattr(os, name)

        def refuse(path, *more, really=really, **named):
            if path in (place, os.fspath(place)) and len(refused) < 3:
                refused.append(path)
                raise OSError(24, "Too many open files")
            return really(path, *more, **named)

        monkeypatch.setattr(os, name, refuse)
    rig.daemon.start()
    rig.turn_until(lambda: not writer.path.exists(), 8.0)
    assert len(refused) == 3
    assert rig.daemon.only().values == [*map(float, range(100))]
    assert rig.daemon.only().dropped == {}


def test_blocks_move_to_disk_while_the_daemon_is_away_and_are_delivered_from_there(rig: Rig) -> None:
    rig.config["capture"] = {"spool_bytes": 8_000}
    rig.replace_sender()
    writer = rig.writer()
    writer.begin()
    for value in range(200):
        writer.row(float(value), capacity=16)
    spilled = rig.workspace / "cache" / "spill" / writer.session_id.hex()
    rig.turn_until(lambda: writer.words[fmt.CREATED_BYTES] - writer.words[fmt.RELEASED_BYTES] < 5_000)
    assert any(spilled.iterdir())
    rig.replace_sender()
    rig.daemon.start()
    rig.flush(writer)
    assert rig.daemon.only().values == [float(value) for value in range(200)]
    assert not any(spilled.iterdir())
    writer.vanish(ended=True)
    rig.turn_until(lambda: not writer.path.exists())
    assert not spilled.exists()


@pytest.mark.parametrize("alive", [True, False])
def test_a_block_that_a_call_may_still_write_to_is_not_moved(rig: Rig, alive: bool) -> None:
    rig.config["capture"] = {"spool_bytes": 2_000}
    rig.replace_sender()
    writer = rig.writer()
    writer.begin()
    writer.block(fmt.JOURNAL)  # and the one before has no END yet
    for value in range(16):
        writer.row(float(value), time=int(value != 3), capacity=16)
    late = writer._blocks[fmt.ROWS, 0][1]
    for value in range(16, 64):
        writer.row(float(value), capacity=16)
    if not alive:
        writer.vanish()
    spilled = rig.workspace / "cache" / "spill" / writer.session_id.hex()
    rig.turn_until((spilled / "rows-2").exists)
    assert {(spilled / name).exists() for name in ("rows-0", "journal-0")} == {not alive}
    if alive:
        late[3 * 16 * 8 :].cast("q")[3] = 1
        rig.turn_until((spilled / "rows-0").exists)
    rig.daemon.start()
    rig.turn_until(lambda: rig.daemon.sessions and len(rig.daemon.only().values) == 63 + alive)


def test_no_more_is_moved_to_disk_than_may_be(rig: Rig) -> None:
    rig.config["capture"] = {"spool_bytes": 2_000, "spill_bytes": 2_000}
    rig.replace_sender()
    writer = rig.writer()
    writer.begin()
    for value in range(200):
        writer.row(float(value), capacity=16)
    rig.turn_until(lambda: "spill_bytes" in writer.trouble())
    on_disk = sum(file.stat().st_size for file in (rig.workspace / "cache" / "spill").glob("*/*"))
    assert 0 < on_disk <= 2_000
    rig.daemon.start()
    rig.flush(writer)
    assert rig.daemon.only().values == [float(value) for value in range(200)]
    assert writer.trouble() == ""


def test_blocks_on_disk_that_outlived_the_memory_are_delivered(rig: Rig) -> None:
    rig.config["capture"] = {"spool_bytes": 2_000}
    rig.replace_sender()
    writer = rig.writer()
    writer.begin()
    writer.entry("event", key="in the next block", message="m" * 5000)
    for value in range(64):
        writer.row(float(value), capacity=16)
    spilled = rig.workspace / "cache" / "spill" / writer.session_id.hex()
    rig.turn_until(lambda: (spilled / "rows-2").exists() and (spilled / "journal-0").exists())
    rig.service.close()
    shutil.rmtree(writer.path)
    rig.service = rig.sender()
    rig.daemon.start()
    rig.turn_until(lambda: rig.daemon.sessions and rig.daemon.only().closed)
    assert rig.daemon.only().values == [float(value) for value in range(48)]
    assert [each.lost for each in rig.daemon.only().of("session_ended")] == [True]
    rig.turn_until(lambda: not spilled.exists())


def test_a_sender_killed_between_deleting_and_telling_leaves_no_room_unaccounted(rig: Rig) -> None:
    writer = rig.writer()
    writer.begin()
    for value in range(64):
        writer.row(float(value), capacity=16)
    (writer.path / "rows-0").unlink()
    rig.turn_until(lambda: rig.service.sessions)
    left = sum(file.stat().st_size for file in writer.path.glob("*-*"))
    assert writer.words[fmt.CREATED_BYTES] - writer.words[fmt.RELEASED_BYTES] == left


# --- endings ---
