"""One spool's folder: its header, its lock, its blocks and its bound.

Only the owner process writes here, besides the sender's words in the header. Blocks are preallocated (a full disk is
an error when the block is made, never a SIGBUS later) and mapped; what is stored in them survives the process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from contextlib import AbstractContextManager, suppress
from itertools import count
from pathlib import Path
from time import monotonic_ns, time_ns

from . import spool_format as fmt
from .spool_place import write_all

RESERVE_BYTES = 256 << 10  # of the bound, only for the journal, so that scopes still open and close at the bound
CLOSINGS_BYTES = 64 << 10  # of these, only for closings: no number of events keeps a run from saying how it ended
DISK_RETRY_NS = 100_000_000  # storage that failed is not asked again before


Lock = AbstractContextManager[bool]  # a threading.RLock, the stream's


class SpoolFullError(Exception):
    """The spool is at its bound."""


class DiskFullError(Exception):
    """Storage has no room, is read-only, or failed; tried again after a while."""


class Block:
    """A mapped block. `memory` begins behind the block's header; it stays mapped as long as someone holds it."""

    __slots__ = ("capacity", "memory", "number", "path", "published", "temporary", "walked")

    def __init__(self, path: Path, temporary: Path, memory: memoryview, *, number: int, capacity: int) -> None:
        self.path = path
        self.temporary = temporary
        self.memory = memory
        self.number = number
        self.capacity = capacity
        self.published = False
        self.walked = 0  # of a journal block: a frame's beginning, up to which all are committed

    def publish(self) -> None:
        """Give the block its name, so that the reader sees it. May be called again, also by a nested call, and after
        DiskFullError, which it raises when storage refuses."""
        if not self.published:
            try:
                self.temporary.rename(self.path)
            except FileNotFoundError:  # a nested call was faster, or the folder was removed under us
                pass
            except OSError as error:
                raise DiskFullError(str(error)) from error
            self.published = True


class Spool:
    """A spool folder of this process. `words` are the header's 64-bit words, readable and writable as integers."""

    def __init__(self, root: Path, session_id: bytes, *, bound_bytes: int) -> None:
        """Make the folder, its header and its lock. Raises OSError."""
        self.path = root / session_id.hex()
        self.session_id = session_id
        self.bound_bytes = bound_bytes
        self.block_limit = max(64 << 10, (bound_bytes - RESERVE_BYTES) // 4)  # bytes of the largest block
        self._disk_retry_ns = 0  # monotonic: a clock set back must not make it longer
        self._names = count()
        self.words = memoryview(bytearray(fmt.HEADER_BYTES)).cast("Q")  # until there is a header
        self._trouble = memoryview(bytes(fmt.TROUBLE_BYTES))
        self.path.mkdir(mode=0o700)
        self._lock_file = -1
        try:
            self._lock_file = self._take_lock()
            self._make_header()
        except BaseException:
            self.release()
            (self.path / fmt.LOCK_NAME).unlink(missing_ok=True)
            self.path.rmdir()
            raise

    def _take_lock(self) -> int:
        """A POSIX record lock: no child inherits it, and the kernel frees it when this process is gone.

        It is also freed when this process closes any descriptor of the file, so the lock has a file of its own, which
        nobody here has a reason to open: the header may be read by anyone.
        """
        file = os.open(self.path / fmt.LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(file)
            raise
        return file

    def _make_header(self) -> None:
        temporary = self.path / ".header"
        file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            prefix = fmt.HEADER_PREFIX.pack(
                fmt.HEADER_MAGIC, fmt.VERSION, fmt.HEADER_BYTES, self.session_id, os.getpid()
            )
            write_all(file, prefix.ljust(fmt.HEADER_BYTES, b"\0"))
            mapped = memoryview(mmap.mmap(file, fmt.HEADER_BYTES, flags=mmap.MAP_SHARED))
            self.words = mapped.cast("Q")
            self._trouble = mapped[fmt.TROUBLE_OFFSET : fmt.TROUBLE_OFFSET + fmt.TROUBLE_BYTES]
            self.words[fmt.CREATED_NS] = time_ns()
            self.words[fmt.WRITER_STATE] = fmt.OPEN
            found = os.fstat(file)
            self._identity = found.st_dev, found.st_ino
            temporary.rename(self.path / fmt.HEADER_NAME)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)

    def exists(self) -> bool:
        """Whether the spool is still where it was made."""
        try:
            found = (self.path / fmt.HEADER_NAME).stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def waiting_bytes(self) -> int:
        """Return the bytes of blocks that the sender has not released."""
        return self.words[fmt.CREATED_BYTES] - self.words[fmt.RELEASED_BYTES]

    def trouble(self) -> str:
        """Return what keeps the sender from delivering, for people; empty: nothing."""
        length = int.from_bytes(self._trouble[:4], "little")
        return bytes(self._trouble[4 : 4 + min(length, fmt.TROUBLE_BYTES - 4)]).decode("utf-8", "replace")

    def make_block(self, header: fmt.BlockHeader, *, closings: bool = False) -> Block:
        """Make and map a block, not yet published. Raises SpoolFullError or DiskFullError.

        closings: it takes nothing but closings of scopes, and may use up the bound.
        The caller holds the stream's lock; a signal handler may still call this again in the middle.
        """
        size = header.file_bytes
        kept_free = 0 if closings else CLOSINGS_BYTES if header.kind == fmt.JOURNAL else RESERVE_BYTES
        bound = self.bound_bytes - kept_free
        if self.waiting_bytes() + size > bound:
            raise SpoolFullError
        if self._disk_retry_ns and monotonic_ns() < self._disk_retry_ns:
            raise DiskFullError
        name = fmt.block_name(header.kind, header.number, header.group)
        temporary = self.path / f".{name}.{next(self._names)}"
        self.words[fmt.CREATED_BYTES] += size  # before it is made: a nested call must not go beyond the bound
        try:
            memory = _map_new_file(temporary, size, header.pack())
        except BaseException as error:
            self.words[fmt.CREATED_BYTES] -= size
            with suppress(OSError):
                temporary.unlink()
            if not isinstance(error, OSError):
                raise
            self._disk_retry_ns = monotonic_ns() + DISK_RETRY_NS
            raise DiskFullError(str(error)) from error
        self._disk_retry_ns = 0
        return Block(self.path / name, temporary, memory, number=header.number, capacity=header.capacity)

    def discard(self, block: Block, header: fmt.BlockHeader) -> None:
        """Take back a block that was made and is not needed."""
        with suppress(OSError):
            block.temporary.unlink()
        self.words[fmt.CREATED_BYTES] -= header.file_bytes

    def end(self) -> None:
        """Say that nothing more will be written."""
        self.words[fmt.WRITER_STATE] = fmt.ENDED

    def remove(self) -> None:
        """Take back a spool into which nothing was written."""
        self.release()
        for path in [*self.path.iterdir()]:
            path.unlink()
        self.path.rmdir()

    def release(self) -> None:
        """Free the lock and the header; its last words stay readable."""
        if self._lock_file >= 0:
            file, self._lock_file = self._lock_file, -1
            self.words = memoryview(bytearray(self.words)).cast("Q")
            self._trouble = memoryview(bytes(self._trouble))
            os.close(file)


def _map_new_file(path: Path, size: int, head: bytes) -> memoryview:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _preallocate(file, size)
        # Not populated: a page fault now and then (1 us in 128 rows) is better than one call that takes a millisecond.
        mapped = mmap.mmap(file, size, flags=mmap.MAP_SHARED)
        mapped[: len(head)] = head
    finally:
        os.close(file)
    return memoryview(mapped)[fmt.BLOCK_HEADER_BYTES :]


def _preallocate(file: int, size: int) -> None:
    """Make storage keep room for the whole file. Raises OSError when there is none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    zeros = bytes(1 << 16)  # macOS
    left = size
    while left:
        left -= os.write(file, zeros[:left])
