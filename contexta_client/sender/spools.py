"""Which sessions a workspace has on this machine: found, taken up, and removed with their folders."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path
from time import time

from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place

from .follow import SpoolReader, session_folders
from .session import Session
from .whereabouts import DELETED, THERE, UNKNOWN, Whereabouts

_log = logging.getLogger("contexta.sender")

HEADERLESS_KEPT_S = 60.0  # a spool gets its header within milliseconds, or its maker died


class Spools:
    """The sessions that are followed: those in every root where spools may lie, and blocks of theirs on disk."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.roots = self._own_roots = spool_place.candidate_roots(workspace)
        self.spilled = workspace / "cache" / "spill"
        self.sessions: dict[bytes, Session] = {}
        self._unreadable: set[bytes] = set()
        self._refused: set[bytes] = set()  # by the system, for now
        self._taken_over: set[bytes] = set()  # from an earlier sender
        self._left_alone: set[bytes] = set()  # until the workspace can be seen
        self._whereabouts = Whereabouts(workspace)
        self._turn = 0

    def in_turn(self) -> list[tuple[bytes, Session]]:
        """Return the sessions, each time with another one first, so that none waits behind the same others."""
        all_of_them = list(self.sessions.items())
        self._turn += 1
        first = self._turn % len(all_of_them) if all_of_them else 0
        return all_of_them[first:] + all_of_them[:first]

    def wanted(self) -> bool:
        """Whether there is something for a daemon to take. What dead processes left goes with a deleted workspace, and
        waits for one that cannot be seen.

        One that no sender has seen yet is neither: its first process may have died before it was made.
        """
        if not self.sessions and not self._left_alone:
            return False
        place = self._whereabouts.look()
        if place == THERE:
            self._left_alone.clear()
            return bool(self.sessions)
        for session_id, session in list(self.sessions.items()):
            if place == UNKNOWN and session_id not in self._taken_over:
                continue
            if session.gone or session.reader.writer_is_gone():
                self._part_with(session_id, session, deleted=place == DELETED)
        return bool(self.sessions)

    def _part_with(self, session_id: bytes, session: Session, *, deleted: bool) -> None:
        pid = session.reader.pid
        if deleted:
            _log.warning("the workspace was deleted, and what process %d left for it goes too", pid)
            self.remove(session_id)
        else:
            _log.warning("the workspace cannot be seen; what process %d left for it stays in %s until a sender runs "
                         "where it can", pid, session.reader.home)  # fmt: skip
            self._left_alone.add(session_id)
            self.sessions.pop(session_id).reader.close()

    def discover(self, now: float) -> None:
        """Take up new sessions, and let go of those whose folder was removed. now: a monotonic clock's."""
        try:
            self.roots = list(dict.fromkeys([*self._own_roots, *spool_place.noted_roots(self.workspace)]))
            found = session_folders([*self.roots, self.spilled])
        except OSError as error:  # for now; nothing is known of what is there
            self.make_room_for(error)
            _log.error("spools cannot be listed, and are looked for again: %s", error)
            return
        for session_id, folders in found.items():
            session = self.sessions.get(session_id)
            if session is not None:
                session.reader.folders = folders
            elif session_id not in self._unreadable | self._left_alone:
                self._take_up(session_id, folders, now)
        for session_id in [each for each in self.sessions if each not in found]:
            _log.warning("the spool of session %s was removed, and what waited in it", session_id.hex())
            self.sessions.pop(session_id).reader.close()

    def make_room_for(self, error: OSError) -> bool:
        """Let go of all mapped blocks where too many files are open; return whether that was the error."""
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            return False
        for session in self.sessions.values():
            session.reader.unmap()
        return True

    def remove(self, session_id: bytes) -> None:
        """Delete a session's folders: all of it is durable, or nobody wants it."""
        session = self.sessions.pop(session_id)
        self._taken_over.discard(session_id)
        session.reader.close()
        for folder in session.reader.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _take_up(self, session_id: bytes, folders: list[Path], now: float) -> None:
        try:
            reader = self._opened(session_id, folders)
        except ValueError as error:
            _log.error("the spool %s cannot be read and is left alone: %s", folders[0], error)
            self._unreadable.add(session_id)
            return
        except OSError as error:
            if session_id not in self._refused:
                _log.error("the spool %s cannot be read, and is tried again: %s", folders[0], error)
            self._refused.add(session_id)
            return
        if reader is None:
            return
        if int(reader.words[fmt.SENDER_PID]):
            self._taken_over.add(session_id)
        reader.words[fmt.SENDER_PID] = os.getpid()
        self._refused.discard(session_id)
        session = self.sessions[session_id] = Session(reader, now)
        session.answers.recount()
        _log.info("following session %s of process %d", session_id.hex(), reader.pid)

    def _opened(self, session_id: bytes, folders: list[Path]) -> SpoolReader | None:
        """Return the reader of a spool; None where it has no header yet. Raises OSError and ValueError."""
        try:
            return SpoolReader(session_id, folders)
        except FileNotFoundError:
            self._look_after_headerless(session_id, folders)
            return None

    def _look_after_headerless(self, session_id: bytes, folders: list[Path]) -> None:
        """Blocks on disk whose header is gone (a restart emptied the memory) get one, so that they are sent; a folder
        whose maker died before it made the header is removed. Raises OSError."""
        folder = folders[0]
        if folders == [self.spilled / session_id.hex()]:
            prefix = fmt.HEADER_PREFIX.pack(fmt.HEADER_MAGIC, fmt.VERSION, fmt.HEADER_BYTES, session_id, 0)
            temporary = folder / ".header"
            temporary.write_bytes(prefix.ljust(fmt.HEADER_BYTES, b"\0"))
            temporary.rename(folder / fmt.HEADER_NAME)
        elif folder.exists() and time() - folder.stat().st_mtime > HEADERLESS_KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)
