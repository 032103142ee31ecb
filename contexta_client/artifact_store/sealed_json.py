"""A JSON object that knows whether it is whole: its `check` is the SHA-256 of everything else in it.

Pure: bytes in, bytes out. Used by bindings, packages and backups, whose documents name a `format` and a `version`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from contexta.errors import StorageError, VersionMismatchError

CHECK = "check"


def seal(values: Mapping[str, Any]) -> bytes:
    """Return a JSON document of the values and their check, readable for people."""
    body = {name: value for name, value in values.items() if name != CHECK}
    text = json.dumps({**body, CHECK: _check(body)}, indent=1, allow_nan=False)
    return text.encode("ascii") + b"\n"


def unseal(data: bytes, *, format_name: str, version: int, where: str) -> dict[str, Any]:
    """Return the values of a sealed document.

    where: what is read, for messages. Raises StorageError (`document_damaged`) for anything but the bytes that were
    written, and VersionMismatchError for a version that this program does not know.
    """
    try:
        values = json.loads(data.decode("ascii"))
        if not isinstance(values, dict):
            raise TypeError("it is no object")
        said = values.pop(CHECK, None)
        whole = said == _check(values)
    except (TypeError, ValueError, RecursionError) as error:
        raise _damaged(where, f"it cannot be read ({error})") from error
    if values.get("format") != format_name:
        raise _damaged(where, f"it is not of the format {format_name!r}")
    found = values.get("version")
    if found != version or isinstance(found, bool):
        raise VersionMismatchError(
            f"{where} is of version {found!r}; this program knows version {version}. Use the Contexta that wrote it.",
            code="format_unsupported",
            details={"found": found, "known": version},
        )
    if not whole:
        raise _damaged(where, "its check does not hold")
    return values


def _check(values: Mapping[str, Any]) -> str:
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(canonical.encode("ascii")).hexdigest()


def _damaged(where: str, why: str) -> StorageError:
    return StorageError(
        f"{where} is damaged: {why}. Take another copy.", code="document_damaged", details={"where": where}
    )
