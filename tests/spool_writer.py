"""Writes spools byte by byte, by docs/format/spool.md: also ones that no client would leave behind."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path
from zlib import crc32

from contexta_client.capture import spool_format as fmt
from contexta_client.capture.entry_encoding import encode_entry

_HOLDER = """
import fcntl, os, sys
held = {}
for line in sys.stdin:
    what, path = line.split(None, 1)
    path = path.strip()
    if what == "hold":
        held[path] = os.open(path, os.O_RDWR)
        fcntl.lockf(held[path], fcntl.LOCK_EX)
    else:
        os.close(held.pop(path))
    print("done", flush=True)
"""


class LockHolder:
    """Holds spools' locks in another process, as their writers do. A lock of one's own process is no obstacle."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def hold(self, path: Path) -> None:
        self._tell("hold", path)

    def free(self, path: Path) -> None:
        self._tell("free", path)

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def _tell(self, what: str, path: Path) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {path}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


class SpoolWriter:
    """One spool. Nothing is checked: that is the reader's business."""

    def __init__(self, root: Path, *, holder: LockHolder | None = None, session_id: bytes = b"") -> None:
        self.session_id = session_id or os.urandom(16)
        self.path = root / self.session_id.hex()
        self.path.mkdir(parents=True)
        self._holder = holder
        (self.path / fmt.LOCK_NAME).touch()
        if holder is not None:
            holder.hold(self.path / fmt.LOCK_NAME)
        prefix = fmt.HEADER_PREFIX.pack(fmt.HEADER_MAGIC, fmt.VERSION, fmt.HEADER_BYTES, self.session_id, 4242)
        (self.path / ".header").write_bytes(prefix.ljust(fmt.HEADER_BYTES, b"\0"))
        self.words = _map(self.path / ".header").cast("Q")
        self.words[fmt.WRITER_STATE] = fmt.OPEN
        (self.path / ".header").rename(self.path / fmt.HEADER_NAME)
        self._blocks: dict[tuple[int, int], tuple[int, memoryview]] = {}  # (kind, group) -> number, memory
        self._places: dict[tuple[int, int], int] = {}  # the next slot or offset

    def trouble(self) -> str:
        data = bytes(self.words)[fmt.TROUBLE_OFFSET :]
        return data[4 : 4 + int.from_bytes(data[:4], "little")].decode()

    def vanish(self, *, ended: bool = False) -> None:
        """The process is gone; ended: after it said so."""
        if ended:
            self.words[fmt.WRITER_STATE] = fmt.ENDED
        if self._holder is not None:
            self._holder.free(self.path / fmt.LOCK_NAME)

    # --- blocks ---

    def block(self, kind: int, *, group: int = 0, values: int = 0, capacity: int = 64) -> memoryview:
        """Begin the next block of a series; return its memory behind the header."""
        number = self._blocks[kind, group][0] + 1 if (kind, group) in self._blocks else 0
        header = fmt.BlockHeader(kind=kind, group=group, values=values, number=number, capacity=capacity)
        path = self.path / fmt.block_name(kind, number, group)
        temporary = self.path / f".{path.name}"
        temporary.write_bytes(header.pack().ljust(header.file_bytes, b"\0"))
        memory = _map(temporary)[fmt.BLOCK_HEADER_BYTES :]
        temporary.rename(path)
        self.words[fmt.CREATED_BYTES] += header.file_bytes
        self._blocks[kind, group] = number, memory
        self._places[kind, group] = 0
        return memory

    # --- rows ---

    def row(self, value: float, *, series: int = 1 << 32 | 1, step: int = 0, time: int = 1, capacity: int = 64) -> int:
        """Write a row in the next slot; return the slot. time 0 leaves a hole, VOID_TIME voids it."""
        memory, slot, capacity = self._slot(fmt.ROWS, 0, capacity, lambda: self.block(fmt.ROWS, capacity=capacity))
        for column, (form, stored) in enumerate((("d", value), ("Q", series), ("q", step), ("q", time))):
            memory[column * capacity * 8 : (column + 1) * capacity * 8].cast(form)[slot] = stored
        return slot

    def commit(self, slot: int, *, time: int = 1) -> None:
        """Fill a hole of the newest rows block."""
        memory = self._blocks[fmt.ROWS, 0][1]
        capacity = len(memory) // fmt.ROW_BYTES
        memory[3 * capacity * 8 :].cast("q")[slot] = time

    def group_row(
        self, group: int, values: list[float], *, scope: int = 1, step: int = 0, time: int = 1, capacity: int = 16
    ) -> None:
        size = fmt.group_row_bytes(len(values))
        memory, slot, _ = self._slot(
            fmt.GROUP, group, capacity,
            lambda: self.block(fmt.GROUP, group=group, values=len(values), capacity=capacity), size,
        )  # fmt: skip
        fmt.group_row(len(values)).pack_into(memory, slot * size, *values, step, scope, time)

    def _slot(self, kind, group, capacity, make, size=fmt.ROW_BYTES):
        if (kind, group) not in self._blocks or self._places[kind, group] * size >= len(self._blocks[kind, group][1]):
            make()
        memory = self._blocks[kind, group][1]
        slot = self._places[kind, group]
        self._places[kind, group] += 1
        return memory, slot, len(memory) // size

    # --- journal ---

    def entry(self, kind: str, /, *, time_ns: int = 1, capacity: int = 4096, **fields: object) -> bytes:
        """Append an entry; return its bytes."""
        body = encode_entry(kind, time_ns, fields)
        self.frame(body, capacity=capacity)
        return body

    def frame(
        self, body: bytes, *, capacity: int = 4096, checksum: int | None = None, length: int | None = None
    ) -> int:
        """Append a frame; return its offset in the newest block. Given values stand in for the right ones."""
        size = fmt.frame_bytes(len(body))
        key = fmt.JOURNAL, 0
        if key not in self._blocks or self._places[key] + size + fmt.FRAME_HEADER_BYTES > len(self._blocks[key][1]):
            before, place = self._blocks.get(key, (0, None))[1], self._places.get(key, 0)
            self.block(fmt.JOURNAL, capacity=max(capacity, size + fmt.FRAME_HEADER_BYTES))
            if before is not None:
                before[place : place + 4] = fmt.END_OF_BLOCK.to_bytes(4, "little")
        memory, at = self._blocks[key][1], self._places[key]
        memory[at + 8 : at + 8 + len(body)] = body
        check = crc32(body) if checksum is None else checksum
        fmt.FRAME_HEADER.pack_into(memory, at, len(body) if length is None else length, check)
        self._places[key] += size
        return at

    def begin(self) -> None:
        """What every session begins with: itself, a run, and a key of id 1 in scope 1."""
        self.entry("session_opened", host="here", pid=4242, project_name="demo")
        self.entry("scope_opened", scope_id=1, kind=1, ref="run:demo.one", name="one")
        self.entry("key_defined", key_id=1, key="loss", value_type="float64")


def _map(path: Path) -> memoryview:
    file = os.open(path, os.O_RDWR)
    try:
        return memoryview(mmap.mmap(file, 0))
    finally:
        os.close(file)
