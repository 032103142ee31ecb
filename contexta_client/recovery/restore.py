"""Making a workspace of a backup, or only looking whether one could be made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from contexta.config import UnifiedConfig
from contexta.errors import ConflictError, NotFoundError, StorageError, ValidationError, nearest
from contexta_client import launch
from contexta_client.artifact_store.content import PREFIX
from contexta_client.artifact_store.durable_files import (
    blocks,
    create,
    make_folder,
    opened_folder,
    opened_inside,
    storing,
    sync_folder,
    write_all,
)

from .answers import RestorePlan, RestoreProblem, RestoreResult
from .backup import list_backups
from .backup_format import DATA, MANIFEST, MAX_MANIFEST_BYTES, BackupFile, decode_manifest, parts_of
from .contents import BACKUPS

INCOMING = ".restoring-"


class _WrongFileError(Exception):
    """A file of the backup is not as its manifest says."""

    def __init__(self, problem: RestoreProblem) -> None:
        super().__init__(problem.path)
        self.problem = problem


def plan_restore(
    config: UnifiedConfig,
    backup_ref: str | os.PathLike[str],
    *,
    target_workspace: str | os.PathLike[str] | None = None,
    verify_only: bool = False,
) -> RestorePlan:
    """Read a backup's manifest and say where it would go. Writes nothing.

    backup_ref: a backup's name in the workspace, or the path of its folder. target_workspace: a folder that is empty or
    not there; by default the workspace of the configuration. Raises NotFoundError, ConflictError for a target that is
    in use, StorageError and ValidationError for a manifest that cannot be trusted.
    """
    path = _find(config, backup_ref)
    with storing(path), opened_folder(path) as folder, opened_inside(folder, [MANIFEST]) as file:
        if os.fstat(file).st_size > MAX_MANIFEST_BYTES:
            raise StorageError(f"{path / MANIFEST} is larger than any manifest.", code="document_damaged")
        manifest = decode_manifest(b"".join(blocks(file)), where=str(path / MANIFEST))
    target = None
    if not verify_only:
        target = _target(config, target_workspace)
        _check_target(target)
    return RestorePlan(path.name, path, target, verify_only, manifest)


def restore_workspace(config: UnifiedConfig, plan: RestorePlan) -> RestoreResult:
    """Carry a plan out: verify every file, and unless it is only a verification, make the workspace.

    The workspace appears when it is complete and durable, and not before. Raises StorageError for a file that is not as
    the manifest says (a verification reports it instead), ConflictError for a target in use.
    """
    if plan.target is None:
        problems = _verify(plan)
        return RestoreResult(plan.backup_ref, None, False, plan.file_count, plan.size_bytes, tuple(problems))
    target = plan.target
    _check_target(target)
    with storing(target.parent):
        make_folder(target.parent)
        _check_room(plan, target.parent)
        incoming = target.with_name(f"{INCOMING}{os.getpid()}-{os.urandom(4).hex()}")
        incoming.mkdir(mode=0o700)
        try:
            _copy_all(plan, incoming)
            _check_target(target)
            _put_in_place(incoming, target)
        except _WrongFileError as error:
            raise _damaged(plan, error.problem) from error
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    return RestoreResult(plan.backup_ref, target, True, plan.file_count, plan.size_bytes)


def _find(config: UnifiedConfig, backup_ref: str | os.PathLike[str]) -> Path:
    text = os.fspath(backup_ref)
    named = Path(os.path.abspath(config.workspace.root_path)) / BACKUPS / text  # noqa: PTH100 - links stay as given
    if "/" not in text and text not in ("", ".", "..") and (named / MANIFEST).is_file():
        return named
    path = Path(os.path.abspath(text))  # noqa: PTH100
    if text and (path / MANIFEST).is_file():
        return path
    known = list_backups(config)
    raise NotFoundError(
        f"There is no backup {text!r}.{nearest(text, known)} Give the name of one in {named.parent} "
        f"({', '.join(known[-3:]) or 'there is none'}), or the path of its folder.",
        code="backup_not_found",
        details={"backup_ref": text, "known": known},
    )


def _target(config: UnifiedConfig, given: str | os.PathLike[str] | None) -> Path:
    if given is not None:
        return Path(os.path.abspath(os.fspath(given)))  # noqa: PTH100
    workspace = config.workspace
    elsewhere = [
        name
        for name, folder in (("records", workspace.records_path), ("artifacts", workspace.artifacts_path))
        if folder != workspace.root_path / name
    ]
    if elsewhere:
        raise ValidationError(
            f"This workspace keeps its {' and '.join(elsewhere)} outside of its folder. Restore into a folder of its "
            "own (target_workspace), then move the parts to where they belong.",
            code="restore_layout",
        )
    return Path(os.path.abspath(workspace.root_path))  # noqa: PTH100


def _check_target(target: Path) -> None:
    """Raise ConflictError unless the target is free: nothing is ever restored over something."""
    endpoint = launch.read_endpoint(target)
    if endpoint is not None and launch.process_lives(endpoint.pid):
        raise ConflictError(
            f"A daemon (pid {endpoint.pid}) serves {target}. Restore into another folder, or end it first.",
            code="workspace_in_use",
            details={"path": str(target), "pid": endpoint.pid},
        )
    if any(worker.alive for worker in launch.local_workers(target)):
        raise ConflictError(
            f"Processes are capturing into {target}. Restore into another folder, or end them first.",
            code="workspace_in_use",
            details={"path": str(target)},
        )
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir() or any(target.iterdir())):
        raise ConflictError(
            f"{target} is not an empty folder; nothing is restored over what is there. Move it away, or name another "
            "target.",
            code="target_not_empty",
            details={"path": str(target)},
        )


def _check_room(plan: RestorePlan, folder: Path) -> None:
    """Raise StorageError, before a byte is written, where the files would not fit: a manifest may say anything, and a
    file with holes is as small on the disk as it is large when it is copied."""
    free = shutil.disk_usage(folder).free
    if free < plan.size_bytes:
        raise StorageError(
            f"{folder} has {free} bytes free, the backup holds {plan.size_bytes}. Make room, or name another target.",
            code="storage_full",
            details={"free_bytes": free, "needed_bytes": plan.size_bytes},
            retryable=True,
        )


def _copy_all(plan: RestorePlan, incoming: Path) -> None:
    with opened_folder(plan.path / DATA) as data:
        for each in plan.manifest.files:
            target = incoming.joinpath(*parts_of(each.path))
            make_folder(target.parent)
            file = create(target)
            try:
                _read(data, each, lambda block, file=file: write_all(file, block))  # type: ignore[misc]
                os.fsync(file)
            finally:
                os.close(file)
    for folder in sorted(path for path in incoming.rglob("*") if path.is_dir()):
        sync_folder(folder)
    sync_folder(incoming)


def _read(data: int, said: BackupFile, take: Callable[[bytes], None]) -> None:
    """Hand a file's bytes on, never more than the manifest says. Raises _WrongFileError."""
    digest, size = sha256(), 0
    try:
        with opened_inside(data, parts_of(said.path)) as file:
            for block in blocks(file):
                size += len(block)
                if size > said.size_bytes:
                    raise _WrongFileError(RestoreProblem(said.path, "damaged", f"more than {said.size_bytes} bytes"))
                digest.update(block)
                take(block)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = error.strerror or str(error)
        raise _WrongFileError(RestoreProblem(said.path, "missing" if missing else "unreadable", why)) from error
    if size != said.size_bytes:
        raise _WrongFileError(RestoreProblem(said.path, "damaged", f"{size} bytes, not {said.size_bytes}"))
    if PREFIX + digest.hexdigest() != said.hash_value:
        raise _WrongFileError(RestoreProblem(said.path, "damaged", f"the hash is {PREFIX}{digest.hexdigest()}"))


def _verify(plan: RestorePlan) -> list[RestoreProblem]:
    problems = []
    with storing(plan.path), opened_folder(plan.path / DATA) as data:
        for each in plan.manifest.files:
            try:
                _read(data, each, lambda block: None)
            except _WrongFileError as error:
                problems.append(error.problem)
    return problems


def _put_in_place(incoming: Path, target: Path) -> None:
    try:
        incoming.rename(target)  # onto an empty folder too, and onto nothing else
    except OSError as error:
        if os.path.lexists(target):
            raise ConflictError(
                f"{target} was put to use while the backup was read; nothing was changed there.",
                code="target_not_empty",
                cause=error,
            ) from error
        raise
    sync_folder(target.parent)


def _damaged(plan: RestorePlan, problem: RestoreProblem) -> StorageError:
    return StorageError(
        f"The backup {plan.path} is damaged: {problem.path}: {problem.problem}, {problem.detail}. Nothing was "
        "restored; verify it to see all that is wrong, and take another one.",
        code="backup_damaged",
        details={"backup": str(plan.path), "path": problem.path, "problem": problem.problem},
    )
