"""The lives of a log on a disk that forgets: processes that append and are killed, syncs that fail, power losses.

Whatever the disk may hold afterwards is opened, compared with what was promised, and written on. What is promised:
an append that was synced, and everything that an opened log says to have, because senders let go of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forgetful_disk import Crash, Disk, Folder
from forgetful_files import ForgetfulFiles
from log_writing import ALL, BEGINNING, body_of, make_batch, session

from contexta_daemon.log import Log, LogError, LogIOError
from contexta_daemon.log.lean import LeanBatch
from contexta_daemon.log.making_lean import make_lean

WORKSPACE = Path("/ws")
LOG = WORKSPACE / "records" / "log"
SESSIONS = 4
SIZES = (0, 1, 40, 300, 300, 2000, 6000)
NOW_NS = 2_000_000

Key = tuple[bytes, int]


class BrokenPromiseError(AssertionError):
    """What was found after a power loss is not what was promised."""


@dataclass
class Promises:
    """What was sent, what of it is durable, what is only written (`weak`), and which sessions are closed. What is
    `doomed` was only written, by a process one of whose syncs failed: it may stay in memory for as long as that lasts.
    """

    sent: dict[Key, set[bytes]] = field(default_factory=dict)
    durable: dict[Key, bytes] = field(default_factory=dict)
    weak: dict[Key, int] = field(default_factory=dict)  # to the next sequence
    unsynced: dict[Key, bytes] = field(default_factory=dict)  # weak, until a sync returns
    doomed: set[Key] = field(default_factory=set)
    closed: set[bytes] = field(default_factory=set)

    def copy(self) -> Promises:
        sent = {key: set(bodies) for key, bodies in self.sent.items()}
        durable, weak, unsynced = dict(self.durable), dict(self.weak), dict(self.unsynced)
        return Promises(sent, durable, weak, unsynced, set(self.doomed), set(self.closed))

    def keep(self, bodies: dict[Key, bytes]) -> None:
        """Promise these."""
        self.durable |= bodies
        self.doomed -= bodies.keys()
        for key in bodies:
            self.weak.pop(key, None)

    def check(self, log: Log, *, opened: bool) -> None:
        """Durable is readable, each once, bit-exact, in order. A log that was just opened promises all it has."""
        found: dict[Key, bytes] = {}
        ends: dict[bytes, int] = {}
        for batch in log.read(BEGINNING, limit_bytes=ALL):
            name, first = batch.envelope.session_id, batch.envelope.first_sequence
            at = ends.get(name, 0)
            _promise(first >= at, f"{name[0]}: items from {first} on are there twice")
            _promise(self._may_miss(name, at, first), f"{name[0]}: items {at} to {first} are missing before others")
            _promise(batch.body in self.sent.get((name, first), ()), f"{name[0]}: the body at {first} was never sent")
            ends[name] = batch.envelope.next_sequence
            found[name, first] = batch.body
        lost = sorted(f"{key[0][0]}/{key[1]}" for key, body in self.durable.items() if found.get(key) != body)
        _promise(not lost, f"durable and gone: {lost}; {log.recovery_notes}")
        for name, end in ends.items():
            state = log.sessions.get(name)
            right = state and state.next_sequence >= end and self._may_miss(name, end, state.next_sequence)
            _promise(right, f"{name[0]}: ends at {end}, the log says {state}")
        for name in self.closed:
            _promise((state := log.sessions.get(name)) is not None and state.closed, f"{name[0]}: is open again")
        if opened:
            self.keep({key: body for key, body in found.items() if key not in self.doomed})

    def _may_miss(self, name: bytes, start: int, end: int) -> bool:
        """Whether a session's items between two sequences were never more than written."""
        gone = set(range(start, end))
        for (other, first), behind in self.weak.items():
            if other == name:
                gone -= set(range(first, behind))
        return not gone


class Life:
    """One process that writes a log, until it ends, is killed, or has done enough."""

    def __init__(self, disk: Disk, promises: Promises, chance: random.Random, *, harmless: bool = False) -> None:
        self.promises = promises
        self.chance = chance
        dies_at = chance.randrange(200) if not harmless and chance.random() < 0.8 else -1
        failing = 0.0 if harmless else chance.choice((0.0, 0.0, 0.01, 0.1))
        self.files = ForgetfulFiles(disk, chance, dies_at=dies_at, failing=failing)

    def live(self, appends: int) -> None:
        """Raises Crash when the process dies, and LogIOError when the log cannot be opened."""
        log = Log(
            LOG, files=self.files, segment_bytes=self.chance.choice((600, 3000, 50_000)), clock_ns=lambda: NOW_NS,
            new_id=lambda: self.chance.randbytes(16), fetch=self._fetch,
        )  # fmt: skip
        self._check(log, opened=True)
        for _ in range(appends):
            often = self._append, self._append, self._append, self._append
            self.chance.choice((*often, self._sync, self._close_session, self._make_lean))(log)
        if self.chance.random() < 0.5:
            self._check(log, opened=False)
        if self.chance.random() < 0.3:
            log.close()

    def end(self) -> None:
        """Nobody knows of this process any more."""
        if self.files.failed_syncs:
            self.promises.doomed |= self.promises.weak.keys()
        self.promises.unsynced.clear()

    def _check(self, log: Log, *, opened: bool) -> None:
        with self.files.undisturbed():
            self.promises.check(log, opened=opened)

    def _append(self, log: Log) -> None:
        sync = self.chance.random() < 0.75
        size = self.chance.choice(SIZES)
        batches, keys = [], []
        for number in self.chance.choices(range(SESSIONS), k=self.chance.choice((1, 1, 2, 3, 6))):
            name = session(number)
            state = log.sessions.get(name)
            if state is not None and state.closed:
                continue
            first = max([end for (other, _), end in keys if other == name], default=state.next_sequence if state else 0)
            batches.append(make_batch(name, first, size=size))
            keys.append(((name, first), batches[-1][0].next_sequence))
            self.promises.sent.setdefault((name, first), set()).add(body_of(name, first, size))
        if not sync:
            self.promises.weak.update(dict(keys))
        try:
            log.append(batches, sync=sync)
        except LogIOError:
            return
        bodies = {key: body_of(*key, size) for key, _ in keys}
        if sync:
            self.promises.keep(bodies)
        else:
            self.promises.unsynced |= bodies

    def _sync(self, log: Log) -> None:
        try:
            log.sync()
        except LogIOError:
            self.promises.unsynced.clear()
            return
        self.promises.keep(self.promises.unsynced)
        self.promises.unsynced.clear()

    def _close_session(self, log: Log) -> None:
        if self.chance.random() < 0.05:
            name = session(self.chance.randrange(SESSIONS))
            try:
                log.append([], closing=[name])
            except LogIOError:
                return
            self.promises.closed.add(name)

    def _make_lean(self, log: Log) -> None:
        """Let a sealed segment go of its bodies, as if they were metrics that the columns have."""
        if sealed := log.sealed(log.committed):
            number, end = self.chance.choice(sealed)
            with contextlib.suppress(OSError, LogError):
                make_lean(
                    log._directory, number, end, skeleton_of=_skeleton_of, fetch=self._fetch, may_replace=lambda: None
                )

    def _fetch(self, batches: Sequence[LeanBatch]) -> list[bytes | None]:
        known = {_skeleton_of(body): body for bodies in self.promises.sent.values() for body in bodies}
        return [known.get(batch.skeleton) for batch in batches]


class Lives:
    """A log from its first process on. `states` counts the power losses that were looked into."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.disk = Disk(chance.choice((512, 512, 4096)))
        self.disk.change((self.disk.root, WORKSPACE.name, Folder()))  # as durable as whoever made it cared for
        self.promises = Promises()
        self.states = self.losses = self.failed_syncs = 0

    def go(self, power_losses: int, *, states_each: int = 8) -> None:
        """Live on through some power losses; raises BrokenPromiseError."""
        for _ in range(power_losses):
            for _ in range(self.chance.choice((1, 1, 2, 3))):
                self._live()
            self.losses += 1
            for _ in range(states_each - 1):
                self._look_into(self.disk.after_power_loss(self.chance))
            self.disk = self._look_into(self.disk.after_power_loss(self.chance))

    def _live(self) -> None:
        life = Life(self.disk, self.promises, self.chance)
        try:
            life.live(self.chance.randrange(1, 12))
        except (Crash, LogIOError):
            pass
        self.failed_syncs += life.files.failed_syncs
        life.end()

    def _look_into(self, disk: Disk) -> Disk:
        """Open what a power loss left, compare, write on, open again. Returns the disk as it was found."""
        self.states += 1
        found, promises = disk.copy(), self.promises.copy()
        if self.chance.random() < 0.2:  # the recovery dies as well, and maybe the power with it
            life = Life(disk, promises, self.chance)
            life.files.dies_at = self.chance.randrange(12)
            try:
                life.live(1)
            except (Crash, LogIOError):
                pass
            life.end()
            if self.chance.random() < 0.5:
                disk = disk.after_power_loss(self.chance)
        for appends in (2, 0):
            life = Life(disk, promises, self.chance, harmless=True)
            life.live(appends)
            life.end()
        return found


def _skeleton_of(body: bytes) -> bytes | None:
    return hashlib.blake2b(body, digest_size=8).digest() if len(body) >= 300 else None


def _promise(kept: object, otherwise: str) -> None:
    if not kept:
        raise BrokenPromiseError(otherwise)
