"""A sender to which the system gives less than it asks for: it goes on with what it has, for all sessions."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from sender_rig import Rig
from sender_rig import rig as rig

from contexta_client.capture import spool_format as fmt
from contexta_client.sender import follow


def test_sessions_take_turns_with_the_files_that_may_be_open(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mapped block holds a descriptor. Those of one session fit; those of all do not."""
    real, refused = follow.Block, []

    def limited(path: Path, **fields: int) -> follow.Block:
        if sum(len(each.reader._blocks) for each in rig.service.sessions.values()) >= 4:
            refused.append(path)
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, **fields)

    monkeypatch.setattr(follow, "Block", limited)
    rig.daemon.start()
    writers = [rig.writer() for _ in range(4)]
    for number in range(3):
        for writer in writers:
            if number == 0:
                writer.begin()
            writer.row(float(number))
            writer.group_row(1, [1.0, 2.0])
        for writer in writers:
            rig.flush(writer)
    for writer in writers:
        assert rig.daemon.sessions[writer.session_id].values == [0.0, 1.0, 2.0]
    assert refused
    assert all(session.problem == "" for session in rig.service.sessions.values())


def test_spools_that_cannot_be_listed_for_lack_of_descriptors_let_go_of_some(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = rig.writer()
    writer.begin()
    rig.daemon.start()
    rig.flush(writer)
    (session,) = rig.service.sessions.values()
    assert session.reader._blocks

    def refuse(_: object) -> object:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(follow.os, "listdir", refuse)
        rig.service.spools.discover(0.0)
    assert not session.reader._blocks
    writer.row(1.0)
    rig.flush(writer)
    assert rig.daemon.only().values == [1.0]


@pytest.mark.parametrize("call", ["write_bytes", "exists"])
def test_blocks_that_cannot_be_given_a_header_now_keep_no_other_session_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    orphan = rig.workspace / "cache" / "spill" / ("ab" * 16)
    headerless = rig.root / ("cd" * 16)
    for folder in (orphan, headerless):
        folder.mkdir(parents=True)
    real = getattr(Path, call)

    def refuse(path: Path, *arguments: object) -> object:
        if path.name == ".header" or path == headerless:
            raise OSError(errno.EIO, "the disk is ill")
        return real(path, *arguments)

    rig.daemon.start()
    writer = rig.writer()
    writer.begin()
    with monkeypatch.context() as patched:
        patched.setattr(Path, call, refuse)
        rig.flush(writer)
    assert (orphan / fmt.HEADER_NAME).exists() is (call == "exists")
    rig.turn_until(lambda: not orphan.exists())  # as soon as it can have one, it is delivered
