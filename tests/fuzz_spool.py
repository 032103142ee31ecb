"""Fuzzing what the sender reads: the files of a spool, at home and spilled, and the cursor at which to go on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

from plain_batches import plain_batch

from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place
from contexta_client.sender.answers import Answers
from contexta_client.sender.batches import Batcher
from contexta_client.sender.cursor import MAX_BYTES, Cursor
from contexta_client.sender.follow import SpoolReader
from contexta_client.sender.spools import Spools
from contexta_daemon.batches import decode
from contexta_daemon.log import Envelope, LoggedBatch, Position

SESSION = bytes(range(16))
LARGEST_FILE = 1 << 17
MOST_BATCHES = 4_000
CURSOR, SPILLED = "cursor", "spilled/"


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """Files in few bytes: name, size, and the content without the zeros at its end."""
    parts = []
    for name, content in files.items():
        kept = content.rstrip(b"\0")
        parts += [bytes([len(name)]), name.encode(), len(content).to_bytes(4, "little")]
        parts += [len(kept).to_bytes(4, "little"), kept]
    return b"".join(parts)


def unpack_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The inverse, of any bytes. Sizes are cut to LARGEST_FILE, and of names only ASCII is kept."""
    at = 0
    while at < len(data):
        name = data[at + 1 : at + 1 + data[at]].decode("ascii", "replace").replace("\0", "_")
        at += 1 + data[at]
        size, kept = (int.from_bytes(data[at + n : at + n + 4], "little") % (LARGEST_FILE + 1) for n in (0, 4))
        yield name, data[at + 8 : at + 8 + kept].ljust(size, b"\0")
        at += 8 + kept


class SpoolFiles:
    """The files of one session's spool: whatever they hold, the reading of them ends, and each batch that is made of
    them is one."""

    name = "spool"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places = mock.patch.dict(os.environ, {"CONTEXTA_SPOOL_DIR": str(folder / "spools")})
        self._places.start()
        self.workspace = folder / "ws"
        self.home = spool_place.candidate_roots(self.workspace)[0] / SESSION.hex()
        self.spilled = self.workspace / "cache" / "spill" / SESSION.hex()

    def run(self, data: bytes) -> bool:
        given = dict(unpack_files(data))
        for place in (self.home, self.spilled):
            shutil.rmtree(place, ignore_errors=True)
        for name, content in given.items():
            self._put(name, content)
        taken = False
        for final in (False, True):
            spools = Spools(self.workspace)
            spools.discover(0.0)
            session = spools.sessions.get(SESSION)
            if session is None:
                continue
            session.answers.recount()
            taken |= drain(session.reader, given.get(CURSOR, b""), final=final)
            session.reader.close()
        return taken

    def _put(self, name: str, content: bytes) -> None:
        folder = self.spilled if name.startswith(SPILLED) else self.home
        name = name.removeprefix(SPILLED)
        if "/" in name or name in ("", ".", "..", CURSOR) or len(name) > 60:
            return
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    def close(self) -> None:
        self._places.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def drain(reader: SpoolReader, packed: bytes, *, final: bool) -> bool:
    """Read a spool from a cursor to its end, as a session does. Whether there was anything."""
    try:
        cursor = Cursor.unpack(packed)
    except ValueError:
        return False
    batcher, answers, made = Batcher(reader, cursor), Answers(reader), 0
    ends = reader.ends(final=final)
    while not batcher.complete:
        body = batcher.next(ends, now=float(made))
        made += 1
        assert made < MOST_BATCHES, "the reading does not end"
        if body is not None:
            check_body(body.data, body.count)
        check_cursor(batcher.cursor)
    answers.release(batcher.cursor)
    reader.words[fmt.DURABLE_ITEMS] = made
    return made > 1 or body is not None


def check_body(data: bytes, count: int) -> None:
    """What a sender makes is a batch to the daemon, and to a program that has only the protobuf library."""
    decode(LoggedBatch(Position(1, 0), Position(1, 1), Envelope(SESSION, 0, count, b"", 0), data))
    plain_batch(data)


def check_cursor(cursor: Cursor) -> None:
    packed = cursor.pack()
    assert len(packed) <= MAX_BYTES
    assert Cursor.unpack(packed).pack() == packed


class Cursors:
    """A sender's cursor of any bytes: refused, or one that says the same when it is packed again."""

    name = "cursor"

    def __init__(self, folder: Path) -> None:
        del folder

    def run(self, data: bytes) -> bool:
        try:
            cursor = Cursor.unpack(data)
        except ValueError:
            return False
        if len(data) <= MAX_BYTES:
            check_cursor(cursor)
        return True

    def close(self) -> None:
        pass
