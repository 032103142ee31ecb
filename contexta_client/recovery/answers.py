"""What the recovery calls plan and answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .backup_format import BackupManifest


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """What a backup would hold. parts: for each, files and bytes as they are now. left_out: what and why."""

    backup_ref: str
    path: Path
    workspace: Path
    label: str
    include_cache: bool
    include_exports: bool
    parts: Mapping[str, tuple[int, int]]
    left_out: tuple[str, ...]

    @property
    def file_count(self) -> int:
        return sum(files for files, _ in self.parts.values())

    @property
    def size_bytes(self) -> int:
        return sum(size for _, size in self.parts.values())


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A backup that is complete and durable. notes: what changed or vanished while it was copied."""

    backup_ref: str
    path: Path
    file_count: int
    size_bytes: int
    created_at: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """A backup whose manifest was read and found sound, and where it would go. target None: it is only verified."""

    backup_ref: str
    path: Path
    target: Path | None
    verify_only: bool
    manifest: BackupManifest

    @property
    def file_count(self) -> int:
        return len(self.manifest.files)

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.manifest.files)


@dataclass(frozen=True, slots=True)
class RestoreProblem:
    """A file of a backup that is not as its manifest says. problem: `missing`, `unreadable`, `damaged`."""

    path: str
    problem: str
    detail: str


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """restored: whether a workspace lies at `target` now. problems: only of a verification; a restore raises."""

    backup_ref: str
    target: Path | None
    restored: bool
    file_count: int
    size_bytes: int
    problems: tuple[RestoreProblem, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What came of sending again. remaining: what is in the outbox still; without_sink: of it, what no given sink is
    for, by sink name; overflowed: what the outbox had no room for, and is lost, by sink name."""

    replayed: int = 0
    failed: int = 0
    dead_lettered: int = 0
    remaining: int = 0
    without_sink: Mapping[str, int] = field(default_factory=dict)
    overflowed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """removed: what the daemon makes again from the log, relative to the workspace. daemon_pid: of the new one."""

    removed: tuple[str, ...]
    daemon_pid: int
