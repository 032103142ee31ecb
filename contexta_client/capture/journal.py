"""The journal: frames that are committed one after another, each one serialized entry.

The memory itself says how far it is: the end is the first frame whose length is 0. An append reserves nothing, and
writes nothing before it can finish, so that an exception at any point leaves nothing to repair, and a nested append
(from a signal handler, or a finalizer) merely makes the outer one look for the end again.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

from . import spool_format as fmt
from .spool import CLOSINGS_BYTES, Block, Lock, Spool, SpoolFullError

FIRST_BYTES = 64 << 10
LATER_BYTES = 256 << 10
MAX_ENTRY_BYTES = (8 << 20) - (64 << 10)  # one append to the daemon takes 8 MiB

_length_at = Struct("<I").unpack_from
# Length and checksum lie in one aligned cell of 8 bytes. Native, because "<Q" is packed byte by byte.
_commit_cell = Struct("@Q").pack_into
_END = fmt.END_OF_BLOCK.to_bytes(4, "little")


class Journal:
    """The journal of one spool. Always: every frame before the end is whole, and the end has a length of 0."""

    def __init__(self, spool: Spool, lock: Lock) -> None:
        self._spool = spool
        self._lock = lock
        self._block: Block | None = None
        self._previous: Block | None = None  # the block before, which still needs its END
        self._for_closings: Block | None = None  # the newest one, when it takes nothing else
        self._turn: object = None

    def append(self, body: bytes, *, closing: bool = False) -> None:
        """Commit one frame. Raises SpoolFullError or DiskFullError, and then nothing was written.

        body: at most MAX_ENTRY_BYTES; the caller has checked that. closing: of a scope, for which some room is kept.
        """
        size = fmt.frame_bytes(len(body))
        head = crc32(body) << 32 | len(body)
        with self._lock:
            while True:
                block = self._room_for(size, closing=closing)
                memory = block.memory
                turn = object()
                self._turn = turn
                offset = self._end_of(block)
                start = offset + fmt.FRAME_HEADER_BYTES
                where = slice(start, start + len(body))
                if offset + size + fmt.FRAME_HEADER_BYTES > block.capacity:
                    continue  # a nested call was faster
                # From this comparison to the end of the commit no bytecode runs a signal handler, and nothing is
                # allocated that could start a collection: the three are one step.
                if self._turn is turn and self._block is block:
                    memory[where] = body
                    _commit_cell(memory, offset, head)
                    return

    def release(self) -> None:
        """Let go of the memory; nothing is captured any more."""
        self._block = self._previous = self._for_closings = None

    def _end_of(self, block: Block) -> int:
        """Return where the next frame goes in a block, walking over what was committed since."""
        block.walked = offset = _walk(block.memory, block.walked)
        return offset

    def _room_for(self, size: int, *, closing: bool) -> Block:
        """Return the newest block, once it has room for a frame and an END, and is published."""
        while True:
            block = self._block
            if block is not None:
                self._publish(block)
                takes_it = closing or block is not self._for_closings
                if takes_it and self._end_of(block) + size + fmt.FRAME_HEADER_BYTES <= block.capacity:
                    return block
            try:
                usual = FIRST_BYTES if block is None else min(LATER_BYTES, self._spool.block_limit)
                self._next_block(block, max(usual, size + fmt.FRAME_HEADER_BYTES))
            except SpoolFullError:
                if not closing:
                    raise
                usual = CLOSINGS_BYTES - fmt.BLOCK_HEADER_BYTES
                self._next_block(block, max(usual, size + fmt.FRAME_HEADER_BYTES), closings=True)

    def _next_block(self, seen: Block | None, capacity: int, *, closings: bool = False) -> None:
        number = 0 if seen is None else seen.number + 1
        header = fmt.BlockHeader(kind=fmt.JOURNAL, group=0, values=0, number=number, capacity=capacity)
        made = self._spool.make_block(header, closings=closings)
        only_closings = made if closings else None
        if self._block is seen:  # not switched by a nested call; again no bytecode between test and stores
            self._block, self._previous, self._for_closings = made, seen, only_closings
        else:
            self._spool.discard(made, header)
            return
        self._publish(made)

    def _publish(self, block: Block) -> None:
        """Name the newest block, then say in the one before that the journal goes on there. Idempotent."""
        block.publish()
        previous = self._previous
        if previous is not None:
            end = self._end_of(previous)
            previous.memory[end : end + 4] = _END
            if self._previous is previous:
                self._previous = None


def _walk(memory: memoryview, offset: int) -> int:
    """Return the offset of the first length that is 0 or END."""
    while True:
        (length,) = _length_at(memory, offset)
        if length in (0, fmt.END_OF_BLOCK):
            return offset
        offset += fmt.frame_bytes(length)
