"""The folder of a store: where things lie in it, and the one step that changes it.

    store.json                        what this folder is
    objects/sha256/<2>/<62>           bytes, by their hash; never changed
    refs/<project>/<run>/<id>.json    bindings: which bytes a reference stands for
    incoming/                         what is being written
    lock                              held while a binding is changed

An object is there before a binding names it, and both are synced, so whatever ends the process, a binding always has
its bytes. Nothing is made before the first put.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from contexta.contract.entities import ArtifactManifest
from contexta.contract.times import format_ns
from contexta.errors import ConflictError, NotFoundError, ValidationError, nearest

from .answers import VaultConfig
from .binding import ADOPTED, STORED, Binding, binding_parts, decode_binding, encode_binding
from .content import PREFIX, Content
from .durable_files import locked, make_folder, replace_file, storing, sync_folder
from .sealed_json import seal, unseal

FORMAT, VERSION = "contexta-artifact-store", 1
STALE_INCOMING_S = 24 * 3600


class Vault:
    """One store's folder, shared by any number of threads and processes. Holds nothing in memory."""

    def __init__(self, config: VaultConfig) -> None:
        self.root = Path(os.path.abspath(os.fspath(config.root_path)))  # noqa: PTH100 - links stay as given
        self.max_bytes = config.max_artifact_bytes
        self.objects = self.root / "objects" / "sha256"
        self.refs = self.root / "refs"
        self._incoming = self.root / "incoming"

    # --- where things lie ---

    def object_path(self, hash_value: str) -> Path:
        digest = hash_value.removeprefix(PREFIX)
        return self.objects / digest[:2] / digest[2:]

    def path_of(self, binding: Binding) -> Path:
        """Where a binding's bytes lie."""
        return Path(binding.location) if binding.mode == ADOPTED else self.object_path(binding.hash_value)

    def binding_path(self, artifact_ref: str) -> Path:
        return self.refs.joinpath(*binding_parts(artifact_ref))

    def find(self, artifact_ref: str) -> Binding | None:
        """Return a reference's binding, None when there is none. Raises ValidationError and StorageError."""
        path = self.binding_path(artifact_ref)
        self.check_version()
        with storing(self.root):
            try:
                data = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return decode_binding(data, where=str(path))

    def load(self, artifact_ref: str) -> Binding:
        """Return a reference's binding. Raises NotFoundError, which names the nearest."""
        found = self.find(artifact_ref)
        if found is None:
            raise NotFoundError(
                f"The store at {self.root} has no {artifact_ref}.{nearest(artifact_ref, self.list_refs())}",
                code="artifact_not_found",
                details={"artifact_ref": artifact_ref},
            )
        return found

    def list_refs(self) -> list[str]:
        """Return all references, sorted."""
        self.check_version()
        found = []
        for path in self.refs.glob("*/*/*.json"):
            ref = f"artifact:{path.parent.parent.name}.{path.parent.name}.{path.name.removesuffix('.json')}"
            with contextlib.suppress(ValidationError):  # a file that is none of ours
                if self.binding_path(ref) == path:
                    found.append(ref)
        return sorted(found)

    def list_objects(self) -> Iterator[tuple[str, Path]]:
        """Yield (hash, path) of all objects."""
        for path in sorted(self.objects.glob("??/*")):
            digest = path.parent.name + path.name
            if len(digest) == 64 and not digest.strip("0123456789abcdef"):
                yield PREFIX + digest, path

    def list_incoming(self) -> list[Path]:
        """Return what is being written, or was left by a crash."""
        return sorted(self._incoming.glob("*"))

    # --- changing it ---

    @contextlib.contextmanager
    def incoming(self) -> Iterator[Path]:
        """Give a name for a file that is being written; what is left of it in the end is removed."""
        self._prepare()
        path = self._incoming / f"{os.getpid()}-{os.urandom(8).hex()}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def bind(
        self,
        manifest: ArtifactManifest,
        content: Content,
        *,
        written: Path | None = None,
        adopted: Path | None = None,
        replacing: bool = False,
    ) -> tuple[str, Binding]:
        """Let a manifest's reference stand for content, durably. Returns (outcome, binding).

        written: an incoming file with the content, which becomes the object; or adopted: where the content lies.
        Raises ConflictError when the reference stands for other content, unless replacing; ValidationError when the
        manifest says another hash or size.
        """
        _check_manifest(manifest, content)
        self._prepare()
        binding = Binding(
            manifest=replace(manifest, hash_value=content.hash_value, size_bytes=content.size_bytes),
            mode=STORED if adopted is None else ADOPTED,
            hash_value=content.hash_value,
            size_bytes=content.size_bytes,
            bound_at=format_ns(time.time_ns()),
            location="" if adopted is None else str(adopted),
            modified_ns=0 if adopted is None else content.modified_ns,
            inode=0 if adopted is None else content.inode,
        )
        with locked(self.root / "lock"):
            before = None if replacing else self.find(manifest.artifact_ref)
            if before is not None and before.hash_value != content.hash_value:
                raise _conflict(before, content)
            had_object = self._has_object(content)
            if written is not None:
                self._place(written, content.hash_value)
            if before is not None and (_alike(before, binding) or (before.mode == STORED and had_object)):
                return "unchanged", before
            is_new = not self.binding_path(manifest.artifact_ref).exists()
            with self.incoming() as fresh:
                replace_file(self.binding_path(manifest.artifact_ref), encode_binding(binding), incoming=fresh)
        if replacing and not is_new:
            return "replaced", binding
        return ("adopted" if adopted is not None else "deduplicated" if had_object else STORED), binding

    def check_version(self) -> None:
        """Raise VersionMismatchError when a newer program made this store, StorageError when it is something else."""
        path = self.root / "store.json"
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return
        unseal(data, format_name=FORMAT, version=VERSION, where=str(path))

    def _prepare(self) -> None:
        """Make the folder, and remove what crashes left in it long ago."""
        self.check_version()
        make_folder(self._incoming)
        note = self.root / "store.json"
        if not note.exists():
            fresh = self._incoming / f"{os.getpid()}-{os.urandom(8).hex()}"
            replace_file(note, seal({"format": FORMAT, "version": VERSION}), incoming=fresh)
        for left in self.list_incoming():
            with contextlib.suppress(OSError):
                # The time of the last change of the name: a file that is moved in keeps its time of writing.
                if time.time() - left.lstat().st_ctime > STALE_INCOMING_S:
                    left.unlink()

    def _has_object(self, content: Content) -> bool:
        try:
            return self.object_path(content.hash_value).lstat().st_size == content.size_bytes
        except FileNotFoundError:
            return False

    def _place(self, written: Path, hash_value: str) -> None:
        """Make an incoming file the object of its hash. One that is there is replaced: that heals a damaged one."""
        place = self.object_path(hash_value)
        make_folder(place.parent)
        written.chmod(0o600)
        written.replace(place)
        sync_folder(place.parent)


def _alike(before: Binding, now: Binding) -> bool:
    return before == replace(now, bound_at=before.bound_at, manifest=before.manifest)


def _check_manifest(manifest: ArtifactManifest, content: Content) -> None:
    for name, said, found in (
        ("hash_value", manifest.hash_value, content.hash_value),
        ("size_bytes", manifest.size_bytes, content.size_bytes),
    ):
        if said is not None and said != found:
            raise ValidationError(
                f"The manifest of {manifest.artifact_ref} says {name} {said}, the file has {found}. "
                "Put the right file, or a manifest without it.",
                code="artifact_content_mismatch",
                details={"field": name, "said": said, "found": found},
            )


def _conflict(before: Binding, content: Content) -> ConflictError:
    return ConflictError(
        f"{before.artifact_ref} is kept with other content already: {before.hash_value}, not {content.hash_value}. "
        "Put it under another reference, or ask for it to be replaced.",
        code="artifact_conflict",
        details={
            "artifact_ref": before.artifact_ref,
            "kept_hash": before.hash_value,
            "given_hash": content.hash_value,
        },
    )
