"""Looking whether a store still holds what was put, and how much it holds."""

from __future__ import annotations

from pathlib import Path

from contexta.errors import ContextaError, StorageError

from .answers import ArtifactVerification, StoreSummary, StoreVerification
from .binding import ADOPTED, STORED, Binding
from .content import hash_folder, read_content
from .vault import Vault


def verify_binding(vault: Vault, binding: Binding) -> ArtifactVerification:
    """Read what a binding names to its end."""
    wrong = "damaged" if binding.mode == STORED else "changed"
    return verify_file(binding.artifact_ref, vault.path_of(binding), binding.hash_value, wrong=wrong)


def verify_file(artifact_ref: str, path: Path, expected_hash: str | None, *, wrong: str) -> ArtifactVerification:
    """Read a file, or a folder, and compare. wrong: the status for other bytes than expected."""
    found_hash: str | None = None
    size: int | None = None
    problem = ""
    try:
        if path.is_dir():
            found_hash, size = hash_folder(path)
        else:
            content = read_content(path)
            found_hash, size = content.hash_value, content.size_bytes
        status = "unhashed" if expected_hash is None else "ok" if found_hash == expected_hash else wrong
        if status == wrong:
            problem = f"{path} has other bytes than when it was put"
    except (FileNotFoundError, NotADirectoryError):
        status, problem = "missing", f"{path} is gone"
    except (OSError, StorageError) as error:
        status, problem = "unreadable", str(error)
    return ArtifactVerification(artifact_ref, status, expected_hash, found_hash, size, problem)


def verify_vault(vault: Vault) -> StoreVerification:
    """Read every adopted file, and every object once, whether a reference names it or not."""
    objects = {
        hash_value: verify_file(hash_value, path, hash_value, wrong="damaged")
        for hash_value, path in vault.list_objects()
    }
    checked_bytes = sum(each.size_bytes or 0 for each in objects.values())
    loose = dict(objects)
    reports: list[ArtifactVerification] = []
    for ref in vault.list_refs():
        try:
            binding = vault.load(ref)
        except ContextaError as error:
            reports.append(ArtifactVerification(ref, "damaged", None, None, None, error.message))
            continue
        found = _of_binding(vault, binding, objects)
        reports.append(found)
        if binding.mode == STORED:
            loose.pop(binding.hash_value, None)
        else:
            checked_bytes += found.size_bytes or 0
    return StoreVerification(checked_bytes, (*reports, *loose.values()))


def _of_binding(vault: Vault, binding: Binding, objects: dict[str, ArtifactVerification]) -> ArtifactVerification:
    known = objects.get(binding.hash_value) if binding.mode == STORED else None
    if known is None:
        return verify_binding(vault, binding)
    return ArtifactVerification(
        binding.artifact_ref, known.status, known.expected_hash, known.found_hash, known.size_bytes, known.problem
    )


def summarize(vault: Vault) -> StoreSummary:
    """Count what a store holds, by names and sizes alone."""
    named: set[str] = set()
    adopted = damaged = 0
    refs = vault.list_refs()
    for ref in refs:
        try:
            binding = vault.load(ref)
        except ContextaError:
            damaged += 1
            continue
        if binding.mode == ADOPTED:
            adopted += 1
        else:
            named.add(binding.hash_value)
    sizes = {hash_value: path.lstat().st_size for hash_value, path in vault.list_objects()}
    loose = {hash_value: size for hash_value, size in sizes.items() if hash_value not in named}
    return StoreSummary(
        root_path=str(vault.root),
        artifacts=len(refs),
        adopted=adopted,
        objects=len(sizes),
        object_bytes=sum(sizes.values()),
        unreferenced_objects=len(loose),
        unreferenced_bytes=sum(loose.values()),
        incoming=len(vault.list_incoming()),
        damaged_bindings=damaged,
    )
