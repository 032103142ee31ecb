"""Registering a file: one stat and one entry. The daemon hashes it, and says when it changed meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any

from contexta.capture.results import CaptureResult, PayloadFamily, dropped
from contexta.contract.json_text import jsonable
from contexta.contract.keys import is_artifact_kind
from contexta.contract.references import parse_ref
from contexta.errors import ValidationError

from . import capture_calls, scope_life
from .sink_feed import PRODUCER, enclosing_refs

if TYPE_CHECKING:
    from contexta.contract.entities import ArtifactManifest

    from .scopes import Scope

BOUND, PENDING = "BOUND", "PENDING"  # PENDING: it was not there when it was registered


def register(
    scope: Scope,
    artifact_kind: str,
    path: str | os.PathLike[str],
    *,
    artifact_ref: str | None,
    attributes: Mapping[str, Any] | None,
    compute_hash: bool,
    allow_missing: bool,
) -> CaptureResult:
    """Register the file or folder at a path. Raises ValidationError when there is none, unless allow_missing, and on
    a path that is not UTF-8, as the record of it must be."""
    capture_calls.check_open(scope)
    if not is_artifact_kind(artifact_kind):
        raise ValidationError(
            f"The artifact kind is {artifact_kind!r}; write a to z, 0 to 9 and '_', such as 'model'.",
            code="artifact_kind_invalid",
            details={"artifact_kind": artifact_kind},
        )
    absolute = _absolute(path)
    found = _stat(absolute, allow_missing=allow_missing)
    refs = enclosing_refs(scope)
    owner = refs.get("run_ref") or refs["deployment_execution_ref"]
    ref = _artifact_ref(artifact_ref, owner, artifact_kind)
    fields: dict[str, Any] = {
        "ref": ref,
        "artifact_kind": artifact_kind,
        "path": absolute,
        "exists": found is not None,
        "compute_hash": bool(compute_hash),
        "attributes_json": capture_calls.json_of("attributes", attributes),
    }
    kept = jsonable(attributes) if attributes else None  # the payload is made later, and says what the entry says
    if found is not None:
        if -(1 << 63) <= found.st_mtime_ns < 1 << 63:  # else it cannot be told whether it changed since
            fields["modified_ns"] = found.st_mtime_ns
            fields["inode"] = found.st_ino
        fields["size_bytes"] = found.st_size if stat.S_ISREG(found.st_mode) else 0
    now = time_ns()
    stream = scope_life.declared(scope)
    reason = capture_calls.unkept_reason(scope, entries=1) if stream is None else ""
    if stream is not None:
        reason = stream.entry("artifact_registered", {"scope_id": scope.scope_id, **fields}, at_ns=now)

    def payload() -> Mapping[str, Any]:
        return _payload(fields, refs, kept, now)

    scope.recorder.feed.artifact(scope, payload)
    if reason:
        return dropped(reason, family=PayloadFamily.ARTIFACT)

    def wait(timeout: float | None) -> ArtifactManifest:
        manifest: ArtifactManifest = payload()["manifest"]
        return scope.recorder.wait_for_artifact(manifest, timeout)

    return CaptureResult(family=PayloadFamily.ARTIFACT, payload=payload, wait=wait)


def _absolute(path: str | os.PathLike[str]) -> str:
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise ValidationError(
            f"The artifact's path is a {type(path).__name__}; write text or a pathlib.Path.", code="path_invalid"
        ) from None
    if not text or "\0" in text:
        raise ValidationError(f"The artifact's path is {text!r}, which names no file.", code="path_invalid")
    try:
        absolute = os.path.abspath(text)  # noqa: PTH100 - resolve() would follow links
    except FileNotFoundError as error:
        raise ValidationError(
            f"The artifact's path {text!r} is relative to a working folder that was removed. Write an absolute path.",
            code="path_invalid",
            details={"path": text},
        ) from error
    try:
        absolute.encode()
    except UnicodeEncodeError as error:
        raise ValidationError(
            f"The artifact's path is {absolute!r}, which is not UTF-8 and cannot be recorded. Rename what is there, "
            "or register it by a symbolic link with another name.",
            code="path_invalid",
        ) from error
    return absolute


def _stat(path: str, *, allow_missing: bool) -> os.stat_result | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError as error:
        if allow_missing:
            return None
        raise ValidationError(
            f"There is no artifact at {path} ({error.strerror}). Register it after it was written, "
            "or pass allow_missing=True.",
            code="artifact_missing",
            details={"path": path},
        ) from error
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise ValidationError(
            f"{path} is neither a file nor a folder, and cannot be kept as an artifact.",
            code="artifact_not_a_file",
            details={"path": path},
        )
    return found


def _artifact_ref(given: str | None, owner: str, artifact_kind: str) -> str:
    """Return the reference given, checked to belong to the run, or a new one."""
    prefix = owner.partition(":")[2]
    if given is None:
        kind = artifact_kind.strip("_").replace("_", "-")
        while "--" in kind:
            kind = kind.replace("--", "-")
        return f"artifact:{prefix}.{kind[:48].rstrip('-')}-{os.urandom(6).hex()}"
    ref = str(parse_ref(given, kind="artifact", field="artifact_ref"))
    if not ref.startswith(f"artifact:{prefix}."):
        raise ValidationError(
            f"artifact_ref is {given!r}; an artifact of {owner} begins with 'artifact:{prefix}.'.",
            code="artifact_ref_prefix_mismatch",
            details={"artifact_ref": given},
        )
    return ref


def _payload(
    fields: Mapping[str, Any], refs: Mapping[str, str], attributes: dict[str, Any] | None, created_ns: int
) -> Mapping[str, Any]:
    from contexta.contract.entities import ArtifactManifest

    exists = fields["exists"]
    within: dict[str, Any] = dict(refs)
    manifest = ArtifactManifest(
        artifact_ref=fields["ref"],
        artifact_kind=fields["artifact_kind"],
        created_at=scope_life.time_text(created_ns),
        producer_ref=PRODUCER,
        location_ref=f"path:{fields['path']}",
        size_bytes=fields["size_bytes"] if exists else None,
        attributes=attributes,
        **within,
    )
    return {
        "manifest": manifest,
        "binding_status": BOUND if exists else PENDING,
        "source": {"exists": exists, "kind": "PATH", "uri": fields["path"]},
    }
