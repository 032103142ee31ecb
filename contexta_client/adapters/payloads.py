"""What a sink is handed, as plain values: a model of the contract as captured, or a mapping as replayed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contexta.errors import DependencyError


def plain(payload: Any) -> dict[str, Any]:
    """Return a payload's fields. An artifact's come as a mapping that holds its manifest as a model."""
    if not isinstance(payload, Mapping):
        return dict(payload.to_dict())
    return {name: value.to_dict() if hasattr(value, "to_dict") else value for name, value in payload.items()}


def where(envelope: Mapping[str, Any], prefix: str = "contexta.") -> dict[str, str | int]:
    """Return the attributes that say where a record was made; few enough values to be told apart by."""
    names = {"run_ref": "run", "stage_execution_ref": "stage", "batch_execution_ref": "batch", "rank": "rank"}
    return {f"{prefix}{name}": envelope[field] for field, name in names.items() if envelope.get(field) is not None}


def cleaned(name: str, allowed: str) -> str:
    """Return a name with what is not in `allowed` (of a regular expression's class) turned to _."""
    return re.sub(f"[^{allowed}]", "_", name)[:250] or "_"


def missing(library: str, extra: str, error: ImportError) -> DependencyError:
    """Return the error for a library that is not installed, to be raised."""
    return DependencyError(
        f"This needs {library}, which is not installed: pip install 'contexta[{extra}]'",
        details={"library": library, "extra": extra},
        cause=error,
    )
