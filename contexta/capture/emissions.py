"""What the plural capture calls take: one object, or one mapping with the same names, for each thing to capture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from ..errors import ValidationError, nearest

EmissionT = TypeVar("EmissionT", bound="Emission")


class Emission:
    """The common part: how an emission is built from a mapping."""

    @classmethod
    def from_mapping(cls: type[EmissionT], values: Mapping[str, Any]) -> EmissionT:
        """Build the emission. Raises ValidationError on a name that it does not have, or a missing one."""
        known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                raise ValidationError(
                    f"{cls.__name__} has no {name!r}.{nearest(str(name), list(known))} It takes {', '.join(known)}.",
                    code="emission_unknown_field",
                    details={"field": name, "known": list(known)},
                )
        needed = [name for name, field in known.items() if field.default is MISSING]
        missing = [name for name in needed if name not in values]
        if missing:
            raise ValidationError(
                f"{cls.__name__} needs {', '.join(missing)}; the mapping has only {', '.join(map(str, values))}.",
                code="emission_missing_field",
                details={"missing": missing},
            )
        return cls(**values)

    @classmethod
    def of(cls: type[EmissionT], given: EmissionT | Mapping[str, Any]) -> EmissionT:
        """Return an emission as it is, or the one that a mapping describes. Raises ValidationError."""
        if isinstance(given, cls):
            return given
        if isinstance(given, Mapping):
            return cls.from_mapping(given)
        raise ValidationError(
            f"Expected a {cls.__name__} or a mapping, got {type(given).__name__}: {given!r}.",
            code="emission_wrong_type",
        )


@dataclass(frozen=True, slots=True)
class MetricEmission(Emission):
    """One metric; the fields are those of `metric()`."""

    key: str
    value: Any
    unit: str | None = None
    step: int | None = None
    aggregation_scope: str = "step"
    tags: Mapping[str, Any] | None = None
    summary_basis: str = "raw_observation"


@dataclass(frozen=True, slots=True)
class EventEmission(Emission):
    """One event; the fields are those of `event()`."""

    key: str
    message: str
    level: str = "info"
    attributes: Mapping[str, Any] | None = None
    tags: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SpanEmission(Emission):
    """One span; the fields are those of `span()`."""

    name: str
    started_at: datetime | str | None = None
    ended_at: datetime | str | None = None
    status: str = "ok"
    span_kind: str = "operation"
    attributes: Mapping[str, Any] | None = None
    linked_refs: Sequence[str] | None = None
    parent_span_id: str | None = None


@dataclass(frozen=True, slots=True)
class ArtifactRegistrationEmission(Emission):
    """One file to register; the fields are those of `register_artifact()`."""

    artifact_kind: str
    path: str | os.PathLike[str]
    artifact_ref: str | None = None
    attributes: Mapping[str, Any] | None = None
    compute_hash: bool = True
    allow_missing: bool = False
