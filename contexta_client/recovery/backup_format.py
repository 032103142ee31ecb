"""The manifest of a backup: which files, how large, with which hash. Format: docs/format/backup.md. Pure.

A backup may come from anywhere: no path in it is believed before it was checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from contexta.errors import StorageError, ValidationError
from contexta_client.artifact_store.binding import checked_hash
from contexta_client.artifact_store.sealed_json import seal, unseal

FORMAT, VERSION = "contexta-backup", 1
MANIFEST, DATA = "manifest.json", "data"
MAX_MANIFEST_BYTES = 512 << 20
MAX_PATH_CHARS = 4096
PARTS = ("log", "columns", "artifacts", "cache", "reports", "exports", "other")
NEVER = (  # what belongs to one machine, waits in memory, or follows the log and might not match it
    *("daemon", "metadata", "records/columns/lock", "cache/spool", "cache/spill"),
    *("cache/capture/record.jsonl", "cache/capture/artifact.jsonl"),
)
REBUILT = "what follows the log and is not in here is made again by the daemon"


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A file below the backup's `data` folder, and below the restored workspace. path: relative, with `/`."""

    part: str
    path: str
    size_bytes: int
    hash_value: str


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """What a manifest.json says."""

    created_at: str
    label: str
    source_workspace: str
    contexta_version: str
    files: tuple[BackupFile, ...]
    notes: tuple[str, ...]


def encode_manifest(manifest: BackupManifest) -> bytes:
    """Return a manifest.json."""
    return seal(
        {
            "format": FORMAT,
            "version": VERSION,
            "created_at": manifest.created_at,
            "label": manifest.label,
            "source_workspace": manifest.source_workspace,
            "contexta_version": manifest.contexta_version,
            "rebuilt": REBUILT,
            "notes": list(manifest.notes),
            "files": [
                {
                    "part": each.part,
                    "path": each.path,
                    "size_bytes": each.size_bytes,
                    "hash_value": each.hash_value,
                }
                for each in manifest.files
            ],
        }
    )


def decode_manifest(data: bytes, *, where: str) -> BackupManifest:
    """Read a manifest.json. Raises StorageError, VersionMismatchError, and ValidationError (`backup_path_unsafe`)."""
    values = unseal(data, format_name=FORMAT, version=VERSION, where=where)
    try:
        files = tuple(_file(each, where) for each in values["files"])
        _check_tree([each.path for each in files], where)
        return BackupManifest(
            created_at=str(values["created_at"]),
            label=str(values["label"]),
            source_workspace=str(values["source_workspace"]),
            contexta_version=str(values["contexta_version"]),
            files=files,
            notes=tuple(map(str, values["notes"])),
        )
    except ValidationError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{where} is no manifest of a backup: {error}.", code="document_damaged", details={"where": where}
        ) from error


def parts_of(path: str, where: str = "the manifest") -> list[str]:
    """Return the names that lead to a file. Raises ValidationError for a path that could lead anywhere else."""
    names = path.split("/") if isinstance(path, str) else []
    if (
        not names
        or len(path) > MAX_PATH_CHARS
        or "\0" in path
        or any(name in ("", ".", "..") for name in names)
        or any("/".join(names[: each.count("/") + 1]) == each for each in NEVER)
    ):
        raise _unsafe(path, where)
    try:
        path.encode("utf-8", "surrogateescape")  # as the system does with names
    except UnicodeEncodeError:
        raise _unsafe(path, where) from None
    return names


def may_hold(path: str) -> bool:
    """Whether a backup may name a file so: `parts_of` takes it."""
    try:
        parts_of(path)
    except ValidationError:
        return False
    return True


def _file(values: Mapping[str, Any], where: str) -> BackupFile:
    parts_of(values["path"], where)
    size = values["size_bytes"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"{size!r} is no size")
    if values["part"] not in PARTS:
        raise ValueError(f"there is no part {values['part']!r}")
    return BackupFile(values["part"], values["path"], size, checked_hash(values["hash_value"]))


def _check_tree(paths: Iterable[str], where: str) -> None:
    """Refuse a path that is there twice, or that is a folder of another."""
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        if path in files:
            raise _unsafe(path, where)
        files.add(path)
        names = path.split("/")
        folders.update("/".join(names[:count]) for count in range(1, len(names)))
    if files & folders:
        raise _unsafe(min(files & folders), where)


def _unsafe(path: object, where: str) -> ValidationError:
    said = repr(path)[:200]
    return ValidationError(
        f"{where} names the file {said}, which no backup of Contexta has. Nothing was read or written.",
        code="backup_path_unsafe",
        details={"path": said},
    )
