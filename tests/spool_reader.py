"""Reads spools back, by docs/format/spool.md alone and with the protobuf library, to hold against what was written."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from contexta.v1 import capture_pb2


@dataclass
class Metric:
    scope: int
    key: str
    value: float
    step: int | None
    time_ns: int
    unit: str = ""
    value_type: str = ""


@dataclass
class SpoolContent:
    path: Path
    session_id: bytes = b""
    pid: int = 0
    words: tuple[int, ...] = ()
    entries: list[capture_pb2.Entry] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)  # single ones and those of log() rows
    group_rows: int = 0
    holes: int = 0  # claimed slots that were never committed, as far as a later one shows them
    voids: int = 0

    def of(self, kind: str) -> list:
        """Return the entries of a kind, in order."""
        return [getattr(entry, kind) for entry in self.entries if entry.WhichOneof("kind") == kind]

    def scope(self, ref: str) -> capture_pb2.ScopeOpened:
        return next(each for each in self.of("scope_opened") if each.ref == ref)

    def values(self, key: str) -> list[float]:
        return [metric.value for metric in self.metrics if metric.key == key]

    @property
    def ended(self) -> bool:
        return self.words[8] == 2


def read_spools(base: Path) -> list[SpoolContent]:
    """Return the spools below a folder, oldest first."""
    spools = [read_spool(header.parent) for header in base.rglob("header")]
    return sorted(spools, key=lambda spool: spool.words[9])


def read_spool(path: Path) -> SpoolContent:
    header = (path / "header").read_bytes()
    assert len(header) == 4096
    magic, version, size, session_id, pid = struct.unpack_from("<8sII16sQ", header)
    assert (magic, version, size) == (b"CTXSPOOL", 1, 4096)
    assert path.name == session_id.hex()
    content = SpoolContent(path, session_id, pid, struct.unpack("<512Q", header))
    journal = _series(path, "journal")
    for index, data in enumerate(journal):
        content.entries += _frames(data, last=index == len(journal) - 1)
    keys = {each.key_id: each for each in content.of("key_defined")}
    for data in _series(path, "rows"):
        _read_rows(data, content, keys)
    groups = {each.group_id: [keys[key_id] for key_id in each.key_id] for each in content.of("group_defined")}
    for group_id, group_keys in groups.items():
        for data in _series(path, f"group{group_id}"):
            _read_group(data, content, group_keys)
    return content


def _series(path: Path, name: str) -> list[bytes]:
    files = sorted(path.glob(f"{name}-*"), key=lambda file: int(file.name.rpartition("-")[2]))
    assert [file.name for file in files] == [f"{name}-{number}" for number in range(len(files))]
    return [file.read_bytes() for file in files]


def _header(data: bytes) -> tuple[int, int, int, int]:
    magic, version, kind, group, values, _, capacity = struct.unpack_from("<8sIIIIQQ", data)
    assert (magic, version) == (b"CTXBLOCK", 1)
    return kind, group, values, capacity


def _frames(data: bytes, *, last: bool) -> list[capture_pb2.Entry]:
    kind, _, _, capacity = _header(data)
    assert kind == 3
    assert len(data) == 64 + capacity
    entries, at = [], 64
    while at < len(data):
        length, checksum = struct.unpack_from("<II", data, at)
        if length in (0, 0xFFFFFFFF):
            assert (length == 0) == last, "only the newest block may lack its END"
            break
        body = data[at + 8 : at + 8 + length]
        assert crc32(body) == checksum
        entries.append(capture_pb2.Entry.FromString(body))
        at += 8 + (length + 7) // 8 * 8
    return entries


def _step(stored: int) -> int | None:
    return None if stored == 0 else stored - 1 if stored > 0 else stored


def _read_rows(data: bytes, content: SpoolContent, keys: dict) -> None:
    kind, _, _, rows = _header(data)
    assert kind == 1
    assert len(data) == 64 + 32 * rows
    values, series, steps, times = (
        struct.unpack_from(f"<{rows}{code}", data, 64 + 8 * rows * at) for at, code in enumerate("dQqq")
    )
    used = max((index + 1 for index in range(rows) if times[index]), default=0)
    for index in range(used):
        if times[index] == 0:
            content.holes += 1
        elif times[index] == -1:
            content.voids += 1
        else:
            key = keys[series[index] & 0xFFFFFFFF]
            where, step = series[index] >> 32, _step(steps[index])
            content.metrics.append(Metric(where, key.key, values[index], step, times[index], key.unit, key.value_type))


def _read_group(data: bytes, content: SpoolContent, keys: list) -> None:
    kind, _, count, rows = _header(data)
    assert (kind, count) == (2, len(keys))
    layout = struct.Struct(f"<{count}dqQq")
    assert len(data) == 64 + rows * layout.size
    for index in range(rows):
        *values, step, scope, time = layout.unpack_from(data, 64 + index * layout.size)
        if time == -1:
            content.voids += count
        if time in (0, -1):
            continue
        content.group_rows += 1
        for key, value in zip(keys, values, strict=True):
            content.metrics.append(Metric(scope, key.key, value, _step(step), time, key.unit, key.value_type))
