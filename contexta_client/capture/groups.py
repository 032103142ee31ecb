"""`log()` rows: a recurring set of keys is one row, with one claim and one pack.

A group belongs to a tuple of keys and the tuple of their values' types, in the order given: float, int or bool, as
which an array or a scalar of another library counts by what is in it. The first time a set is seen its values go as
single metrics, so that a set that never comes again costs no block.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from struct import Struct
from typing import Any

from . import spool_format as fmt
from .spool import Block, Lock, Spool

MAX_GROUPS = 64
MAX_VALUES = 65_536  # of a row: one row travels in one message, which is bounded
MAX_SEEN = 4096  # key sets remembered before they come a second time
FIRST_BYTES = 64 << 10
LATER_BYTES = 1 << 20

Signature = tuple[tuple[str, ...], tuple[type, ...]]
# claim, capacity, memory
GroupBlock = tuple[Callable[[], int], int, memoryview]
_NO_ROOM: GroupBlock = (count().__next__, 0, memoryview(b""))


class Group:
    """The rows of one set of keys. Always: a row is committed by the time in its last 8 bytes."""

    __slots__ = (
        "_lock", "_made", "_newest", "_spool", "block", "group_id", "pack", "plain", "row_bytes", "time_at", "values",
    )  # fmt: skip

    def __init__(self, spool: Spool, lock: Lock, *, group_id: int, values: int, plain: bool) -> None:
        self._spool = spool
        self._lock = lock
        self._newest: Block | None = None
        self._made: Block | None = None
        self.group_id = group_id
        self.values = values
        self.plain = plain  # every value is kept as a float: floats need no conversion
        # The same bytes as spool_format.group_row on the little-endian machines we run on, packed by plain copies.
        self.pack: Callable[..., None] = Struct(f"@{values}dqQq").pack_into
        self.row_bytes = fmt.group_row_bytes(values)
        self.time_at = self.row_bytes - 8
        self.block: GroupBlock = _NO_ROOM

    def abandon(self, block: GroupBlock, index: int) -> bool:
        """Void the row of a call that an exception ended, unless it was committed. Returns whether it was voided."""
        _, capacity, memory = block
        if not 0 <= index < capacity:
            return False
        at = index * self.row_bytes + self.time_at
        if any(memory[at : at + 8]):
            return False
        memory[at : at + 8] = fmt.VOID_TIME.to_bytes(8, "little", signed=True)
        with self._lock:
            self._spool.words[fmt.VOIDED_METRICS] += self.values
        return True

    def switch(self, seen: GroupBlock) -> None:
        """Go on to the next block, unless that has happened. Raises SpoolFullError or DiskFullError."""
        with self._lock:
            if self.block is not seen:
                return
            made = self._made
            if made is None:
                number = 0 if self._newest is None else self._newest.number + 1
                header = self._header(number)
                made = self._spool.make_block(header)
                if self.block is not seen or self._made is not None:
                    self._spool.discard(made, header)
                    return
                self._made = made
            made.publish()
            block = (count().__next__, made.capacity, made.memory)
            if self.block is seen:  # no bytecode between this test and the stores runs a signal handler
                self.block, self._newest, self._made = block, made, None

    def _header(self, number: int) -> fmt.BlockHeader:
        wanted = min(FIRST_BYTES if number == 0 else LATER_BYTES, self._spool.block_limit)
        capacity = max(1, (wanted - fmt.BLOCK_HEADER_BYTES) // self.row_bytes)
        return fmt.BlockHeader(
            kind=fmt.GROUP, group=self.group_id, values=self.values, number=number, capacity=capacity
        )


class Groups:
    """The groups of one spool, by signature. `known` holds what can be used at once."""

    def __init__(self, spool: Spool, lock: Lock) -> None:
        self._spool = spool
        self._lock = lock
        self._ids = count(1)
        self._seen: set[Signature] = set()
        self.known: dict[Signature, Group] = {}

    def recurs(self, signature: Signature) -> bool:
        """Note that a set was logged; whether it is worth a group now, and may have one."""
        keys, _ = signature
        if len(self.known) >= MAX_GROUPS or not 2 <= len(keys) <= MAX_VALUES:
            return False
        if fmt.group_block_bytes(1, len(keys)) > self._spool.block_limit:
            return False
        if signature in self._seen:
            return True
        if len(self._seen) < MAX_SEEN:
            self._seen.add(signature)
        return False

    def define(self, signature: Signature, announce: Callable[[int], Any]) -> Group:
        """Make the group of a signature. announce: commits the definition of the id to the journal, or raises."""
        with self._lock:
            known = self.known.get(signature)
            if known is not None:
                return known
            keys, types = signature
            group_id = next(self._ids)
            announce(group_id)
            plain = all(each is float for each in types)
            group = Group(self._spool, self._lock, group_id=group_id, values=len(keys), plain=plain)
            return self.known.setdefault(signature, group)

    def release(self) -> None:
        """Let go of the memory; nothing is captured any more."""
        self.known = {}
