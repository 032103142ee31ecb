"""A full disk is said before the first write fails on it, and no longer when there is room."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from sender_rig import Rig
from sender_rig import rig as rig

from contexta_client.sender.room import LEAST_BYTES, LOOK_EVERY_S, Room, free_bytes

Free = dict[str, int]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    """What the file system tells of itself, in blocks of 4096 bytes; `asked` counts how often."""
    told = {"all": 1000, "users": 1000, "roots": 1000, "asked": 0}

    def statvfs(_: object) -> object:
        told["asked"] += 1
        return SimpleNamespace(f_blocks=told["all"], f_bavail=told["users"], f_bfree=told["roots"], f_frsize=4096)

    monkeypatch.setattr(os, "statvfs", statvfs)
    return told


def test_a_full_disk_is_told_while_the_daemon_still_takes_what_comes(rig: Rig, free: Free) -> None:
    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    rig.flush(writer)
    free |= {"users": 0, "roots": 0}
    rig.turn_until(lambda: "no room" in writer.trouble())
    writer.row(1.0)
    rig.flush(writer)
    assert rig.daemon.only().values == [1.0] and "no room" in writer.trouble()
    free |= {"users": 1000, "roots": 1000}
    rig.turn_until(lambda: writer.trouble() == "")


def test_the_file_system_is_asked_now_and_then(free: Free) -> None:
    room = Room(Path("/ws"))
    for look in range(100):
        room.look(look * LOOK_EVERY_S / 10)
    assert 9 <= free["asked"] <= 11


def test_a_file_system_that_knows_no_numbers_or_does_not_answer_is_not_full(
    free: Free, monkeypatch: pytest.MonkeyPatch
) -> None:
    free |= {"all": 0, "users": 0, "roots": 0}
    room = Room(Path("/ws"))
    room.look(1.0)
    assert room.trouble == ""

    def refuse(_: object) -> object:
        raise OSError(5, "the disk is ill")

    monkeypatch.setattr(os, "statvfs", refuse)
    room.look(2.0)
    assert room.trouble == "" and free_bytes(Path("/ws")) is None


@pytest.mark.parametrize("user", [0, 1000])
def test_what_is_kept_for_root_is_room_for_root_alone(free: Free, monkeypatch: pytest.MonkeyPatch, user: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    free |= {"users": 0, "roots": LEAST_BYTES}
    room = Room(Path("/ws"))
    room.look(1.0)
    assert bool(room.trouble) is (user != 0)
