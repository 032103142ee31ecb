"""One session: all that one process says to the sender, through one spool.

A stream turns what is captured into rows and entries, gives out the ids (scope, key, group), and settles what happens
when there is no room. It never raises for what the outside world does: it returns why something was not kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from time import monotonic, sleep, time_ns
from typing import Any

from . import spool_format as fmt
from .entry_encoding import encode_entry
from .groups import Group, Groups, Signature
from .journal import MAX_ENTRY_BYTES, Journal
from .rows import Rows
from .spool import DiskFullError, Lock, Spool, SpoolFullError

FULL = "the spool is at its bound (capture.spool_bytes): the daemon does not take records as fast as they come"
NO_STORAGE = "the storage of the spool has no room or failed"
NESTED = "the call came in the middle of another, which was opening the scope or the session"
TOO_LARGE = f"the entry is larger than {MAX_ENTRY_BYTES} bytes"

_WORDS = {
    FULL: (fmt.DROPPED_METRICS, fmt.DROPPED_ENTRIES),
    NO_STORAGE: (fmt.DROPPED_DISK_METRICS, fmt.DROPPED_DISK_ENTRIES),
    NESTED: (fmt.DROPPED_METRICS, fmt.DROPPED_ENTRIES),
}

KEY_FIELDS = ("key", "unit", "value_type", "aggregation_scope", "summary_basis", "tags_json")
KeySpec = tuple[str, str, str, str, str, str]  # KEY_FIELDS


class Stream:
    """A session's writing end. Ids it gave out are defined in the journal before anything uses them."""

    def __init__(
        self,
        root: Path,
        *,
        lock: Lock,
        bound_bytes: int,
        block_timeout_s: float,
        look: Callable[[int], None],
        wake: Callable[[], object],
        dropped: Callable[[str], None],
    ) -> None:
        """Make the spool. Raises OSError.

        lock: re-entrant, and the only one of the recorder. With two, a call nested in a holder of the one (a signal
        handler's, a finalizer's) would wait for a thread that has the other and waits for this one.
        block_timeout_s: how long a call waits for room; 0: it drops at once. look: called with the time when a look
        at the outside world is due; dropped: with the reason, after something was not kept.
        """
        self.session_id = os.urandom(16)
        self.pid = os.getpid()
        self.lock = lock
        self.spool = Spool(root, self.session_id, bound_bytes=bound_bytes)
        self.journal = Journal(self.spool, self.lock)
        self.rows = Rows(self.spool, self.lock, look)
        self.groups = Groups(self.spool, self.lock)
        self.scope_ids = count(1)
        self._block_timeout_s = block_timeout_s
        self._wake = wake
        self._dropped = dropped
        self._key_ids = count(1)
        self._keys: dict[KeySpec, int] = {}
        self._why = FULL  # the last refusal
        self._owed: list[bytes] = []  # closings that found no room; they go first when there is some
        self._paying = False  # under the lock: by a call that this thread may be in the middle of

    # --- entries -----------------------------------------------------------------------------------------------------

    def entry(
        self, kind: str, fields: Mapping[str, Any], *, at_ns: int = 0, owed: bool = False, tried_again: bool = False
    ) -> str:
        """Commit an entry to the journal; returns why it was not kept, or an empty text.

        owed: a scope's closing. It finds room where other entries do not, and where even that is used up it is
        remembered and written once there is some, rather than dropped.
        tried_again: by the caller, who holds the lock: it does not wait for room, and what is lost for want of it is
        the caller's to count, and to tell of afterwards.
        """
        counted = 0 if tried_again else 1
        body = encode_entry(kind, at_ns or time_ns(), fields)
        if len(body) > MAX_ENTRY_BYTES:
            return self._drop(TOO_LARGE, fmt.DROPPED_LARGE_ENTRIES, counted)
        if self._owed:
            self.pay_owed()
        if owed:
            try:
                self.journal.append(body, closing=True)
            except (SpoolFullError, DiskFullError):
                self._owed.append(body)
            return ""
        if tried_again:
            return self._once(body)
        reason = self._attempt(lambda: self.journal.append(body), fmt.DROPPED_ENTRIES, counted)
        self.look_if_due()
        return reason

    def owes(self) -> bool:
        """Whether closings wait for room."""
        return bool(self._owed)

    def pay_owed(self) -> bool:
        """Write the closings that found no room, as far as there is some now. Returns whether nothing is owed now."""
        with self.lock:
            if self._paying:  # this call is nested in one that goes on with it
                return False
            self._paying = True
            try:
                while self._owed:
                    self.journal.append(self._owed[0], closing=True)
                    del self._owed[0]
            except (SpoolFullError, DiskFullError):
                return False
            finally:
                self._paying = False
        return True

    def look_if_due(self) -> None:
        now = time_ns()
        if self.rows.due(now):
            self.rows.look(now)

    # --- metrics -----------------------------------------------------------------------------------------------------

    def key_id(self, spec: KeySpec) -> int:
        """Return the id of a metric key, defined if need be; 0 when there is no room for its definition."""
        known = self._keys.get(spec)
        if known is not None:
            return known
        with self.lock:
            if spec in self._keys:
                return self._keys[spec]
            key_id = next(self._key_ids)
            fields = {"key_id": key_id, **dict(zip(KEY_FIELDS, spec, strict=True))}
            if self._once(encode_entry("key_defined", time_ns(), fields)):
                return 0
            return self._keys.setdefault(spec, key_id)

    def row(self, series: int, value: float, step: int) -> str:
        """Commit one metric (step as encoded); returns why it was not kept, or an empty text."""
        return self._attempt(lambda: self.rows.append(series, value, step), fmt.DROPPED_METRICS, 1)

    def wide(self, scope_id: int, key_id: int, step: int, value: int) -> str:
        """Commit one metric whose value no double holds exactly, of at most MAX_INTEGER_BITS."""
        return self.entry("wide_metric", {"scope_id": scope_id, "key_id": key_id, "step": step, "value": str(value)})

    def group(self, signature: Signature, key_ids: Callable[[], list[int]]) -> Group | None:
        """Return the group of a recurring set, defined if need be; None where its values go as single metrics."""
        if not self.groups.recurs(signature):
            return None
        ids = key_ids()
        if not all(ids):
            return None

        def announce(group_id: int) -> None:
            self.journal.append(encode_entry("group_defined", time_ns(), {"group_id": group_id, "key_id": ids}))

        try:
            return self.groups.define(signature, announce)
        except (SpoolFullError, DiskFullError):
            return None

    def next_group_block(self, group: Group, seen: Any) -> str:
        """Make room for a row of a group; returns why there is none, having counted the row's values as dropped."""
        return self._attempt(lambda: group.switch(seen), fmt.DROPPED_METRICS, group.values)

    def drop_undefined(self, *, metrics: int = 0, entries: int = 0, nested: bool = False) -> str:
        """Count what cannot be kept because the definition of its scope or key was refused; returns the reason.

        nested: its scope is being declared by the very call in whose middle this one came.
        """
        reason = NESTED if nested else NO_STORAGE if self._why == NO_STORAGE else FULL
        metrics_word, entries_word = _WORDS[reason]
        with self.lock:
            self.spool.words[metrics_word] += metrics
            self.spool.words[entries_word] += entries
        self.tell(reason)
        return reason

    def drop_earlier(self, *, metrics: int, entries: int) -> None:
        """Count what was not kept before there was a spool."""
        metrics_word, entries_word = _WORDS[NO_STORAGE]
        with self.lock:
            self.spool.words[metrics_word] += metrics
            self.spool.words[entries_word] += entries

    # --- no room -----------------------------------------------------------------------------------------------------

    def _attempt(self, write: Callable[[], None], word: int, records: int) -> str:
        """Write, under the policy for a spool that is full. word: the header's counter of what is dropped then."""
        deadline = 0.0
        nap_s = 0.0005
        while True:
            try:
                write()
                return ""
            except DiskFullError:
                return self._drop(NO_STORAGE, word + (fmt.DROPPED_DISK_METRICS - fmt.DROPPED_METRICS), records)
            except SpoolFullError:
                now = monotonic()
                deadline = deadline or now + self._block_timeout_s
                if now >= deadline:
                    return self._drop(FULL, word, records)
            self._wake()
            sleep(min(nap_s, max(0.0, deadline - now)))
            nap_s = min(nap_s * 2, 0.01)

    def insist(self, write: Callable[[], str]) -> str:
        """Call what takes the lock and may return FULL, again and again, under the policy for a spool that is full.

        Others go on while it waits, since it does so without the lock. Returns what it was told last.
        """
        deadline = monotonic() + self._block_timeout_s
        nap_s = 0.0005
        while (reason := write()) == FULL and (left := deadline - monotonic()) > 0:
            self._wake()
            sleep(min(nap_s, left))
            nap_s = min(nap_s * 2, 0.01)
        return reason

    def _once(self, body: bytes) -> str:
        try:
            self.journal.append(body)
        except (SpoolFullError, DiskFullError) as error:
            self._why = NO_STORAGE if isinstance(error, DiskFullError) else FULL
            return self._why
        return ""

    def _drop(self, reason: str, word: int, records: int) -> str:
        self._why = reason
        if records:
            with self.lock:
                self.spool.words[word] += records
            self.tell(reason)
        return reason

    def tell(self, reason: str) -> None:
        """Tell that something was not kept. Not for a holder of the lock: what is called may be the user's."""
        self._dropped(reason)
        self.look_if_due()

    # --- the end -----------------------------------------------------------------------------------------------------

    def end(self, *, at_last: bool = False) -> None:
        """Say that nothing more will come, once that is so. at_last: nobody waits any longer, and closings that still
        find no room are counted as dropped."""
        if not self.pay_owed() and at_last and not self._paying:
            with self.lock:
                self.spool.words[fmt.DROPPED_ENTRIES] += len(self._owed)
                self._owed.clear()
        if not self._owed:
            self.spool.end()

    def release(self) -> None:
        """Free the blocks, and the lock that says that the writer is alive, once nobody waits any more."""
        self.rows.release()
        self.groups.release()
        self.journal.release()
        self.spool.release()
