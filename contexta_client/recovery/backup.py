"""Copying a workspace while it is written to."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from contexta._version import __version__
from contexta.config import UnifiedConfig
from contexta.contract.references import slug
from contexta.contract.times import format_ns
from contexta.errors import ConflictError, StorageError
from contexta_client.artifact_store.content import PREFIX, same_file
from contexta_client.artifact_store.durable_files import (
    READ_BYTES,
    create,
    make_folder,
    opened_file,
    storing,
    sync_folder,
    write_all,
    write_new,
)

from .answers import BackupPlan, BackupResult
from .backup_format import DATA, MANIFEST, BackupFile, BackupManifest, encode_manifest
from .contents import BACKUPS, INCOMING, Contents, Listed

SPARE_BYTES = 16 << 20  # what must be free besides the files themselves
COLUMN_ATTEMPTS = 10


def plan_workspace_backup(
    config: UnifiedConfig,
    *,
    label: str | None = None,
    include_cache: bool | None = None,
    include_exports: bool | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> BackupPlan:
    """Say what a backup of a workspace would hold, and where it would go. Writes nothing.

    label: a few words for its name. include_*: by default as of `config.recovery`. folder: where the backup's own
    folder is made; `<workspace>/backups` by default. Raises NotFoundError and ValidationError.
    """
    include_cache = config.recovery.include_cache if include_cache is None else include_cache
    include_exports = config.recovery.include_exports if include_exports is None else include_exports
    above = _absolute(config.workspace.root_path / BACKUPS if folder is None else folder)
    contents = Contents(config, include_cache=include_cache, include_exports=include_exports)
    named = slug(label, what="label") if label else ""
    parts: dict[str, tuple[int, int]] = {}
    with storing(contents.root):
        for each in contents.list():
            files, size = parts.get(each.part, (0, 0))
            parts[each.part] = (files + 1, size + each.size_bytes)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    ref = base = f"{stamp}-{named}" if named else stamp
    number = 1
    while os.path.lexists(above / ref):
        number += 1
        ref = f"{base}-{number}"
    return BackupPlan(
        backup_ref=ref,
        path=above / ref,
        workspace=contents.root,
        label=label or "",
        include_cache=include_cache,
        include_exports=include_exports,
        parts=parts,
        left_out=tuple(contents.left_out),
    )


def create_workspace_backup(config: UnifiedConfig, plan: BackupPlan) -> BackupResult:
    """Make the backup of a plan: a folder that appears when it is complete and durable, and not before.

    Capturing may go on meanwhile: every record that was durable when this was called is in it. Raises StorageError and
    ConflictError; then nothing is left of it.
    """
    contents = Contents(config, include_cache=plan.include_cache, include_exports=plan.include_exports)
    created_at = format_ns(time.time_ns())
    with storing(plan.path):
        if os.path.lexists(plan.path):
            raise ConflictError(
                f"{plan.path} is there already. Plan again: each plan has a name of its own.",
                code="backup_conflict",
                details={"path": str(plan.path)},
            )
        make_folder(plan.path.parent)
        _check_room(plan)
        incoming = plan.path.with_name(f"{INCOMING}{os.getpid()}-{os.urandom(4).hex()}")
        incoming.mkdir(mode=0o700)
        try:
            files, notes = _copy_all(contents, incoming / DATA)
            manifest = BackupManifest(
                created_at=created_at,
                label=plan.label,
                source_workspace=str(contents.root),
                contexta_version=__version__,
                files=tuple(files),
                notes=(*contents.left_out, *notes),
            )
            write_new(incoming / MANIFEST, encode_manifest(manifest))
            sync_folder(incoming)
            incoming.rename(plan.path)
            sync_folder(plan.path.parent)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    size = sum(each.size_bytes for each in files)
    return BackupResult(plan.backup_ref, plan.path, len(files), size, created_at, tuple(notes))


def list_backups(config: UnifiedConfig) -> list[str]:
    """Return the names of the complete backups in the workspace, the oldest first."""
    folder = _absolute(config.workspace.root_path) / BACKUPS
    return sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}") if not path.parent.name.startswith("."))


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay as given


def _copy_all(contents: Contents, data: Path) -> tuple[list[BackupFile], list[str]]:
    copies = _Copies(data)
    for each in contents.list():
        copies.add(each)
    for _ in range(COLUMN_ATTEMPTS):  # those that were merged meanwhile are in a larger one
        if not copies.forget_gone("columns"):
            break
        for each in contents.columns():
            copies.add(each)
    copies.check()
    data.mkdir(mode=0o700, exist_ok=True)
    for folder in sorted(path for path in data.rglob("*") if path.is_dir()):
        sync_folder(folder)
    sync_folder(data)
    return list(copies.files.values()), copies.notes


class _Copies:
    """What was copied, and what was gone when it should have been."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._gone: list[Listed] = []
        self.files: dict[str, BackupFile] = {}
        self.notes: list[str] = []

    def add(self, each: Listed) -> None:
        """Copy a file, unless it was copied already."""
        if each.path in self.files:
            return
        target = self._data / each.path
        make_folder(target.parent)
        try:
            self.files[each.path], note = _copy(each, target)
        except FileNotFoundError:
            self._gone.append(each)
            return
        if note:
            self.notes.append(note)

    def forget_gone(self, part: str) -> bool:
        """Forget which files of a part were gone; return whether any were."""
        gone = len(self._gone)
        self._gone = [each for each in self._gone if each.part != part]
        return len(self._gone) < gone

    def check(self) -> None:
        """Note what is gone. Raises StorageError where the backup would lack what was durable."""
        for each in self._gone:
            if each.part == "columns" or (each.part == "log" and each.path.endswith(".seg")):
                raise StorageError(
                    f"{each.path} vanished while it was to be copied. Nothing was kept; look at what removes files "
                    "from the workspace.",
                    code="log_incomplete",
                    details={"path": each.path},
                )
            self.notes.append(f"{each.path}: it was removed before it was copied")


def _copy(listed: Listed, target: Path) -> tuple[BackupFile, str]:
    """Copy a file as long as it is when it is opened; tell when it changed meanwhile."""
    digest, size = sha256(), 0
    file = create(target)
    try:
        with opened_file(listed.source) as source:
            before = os.fstat(source)
            left = before.st_size
            while left > 0 and (data := os.read(source, min(READ_BYTES, left))):
                digest.update(data)
                write_all(file, data)
                size, left = size + len(data), left - len(data)
            changed = not same_file(before, os.fstat(source))
        os.fsync(file)
    except FileNotFoundError:
        target.unlink()
        raise
    finally:
        os.close(file)
    grew = listed.part == "log"  # append-only: what was there when it was opened does not change
    note = f"{listed.path}: it changed while it was copied" if changed and not grew else ""
    return BackupFile(listed.part, listed.path, size, PREFIX + digest.hexdigest()), note


def _check_room(plan: BackupPlan) -> None:
    free = shutil.disk_usage(plan.path.parent).free
    needed = plan.size_bytes + SPARE_BYTES
    if free < needed:
        raise StorageError(
            f"{plan.path.parent} has {free} bytes free, the backup needs about {needed}. Make room, or name another "
            "folder.",
            code="storage_full",
            details={"free_bytes": free, "needed_bytes": needed},
            retryable=True,
        )
