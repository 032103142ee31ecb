"""What all models share: they are built valid or raise, they never change, and they know their JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

from ..errors import ValidationError, nearest
from .json_text import dumps, jsonable
from .references import is_child, parse_ref
from .rules import Rule, captured_key, key, rule_of

ModelT = TypeVar("ModelT", bound="Model")
Values = Mapping[str, Any]
Check = Callable[[Values], Iterator[ValidationError]]

# A child's reference -> what it may be a child of; the first that the model has decides.
PARENTS: dict[str, tuple[str, ...]] = {
    "run_ref": ("project_ref",),
    "deployment_execution_ref": ("project_ref",),
    "stage_execution_ref": ("run_ref",),
    "batch_execution_ref": ("stage_execution_ref",),
    "sample_observation_ref": ("batch_execution_ref", "stage_execution_ref"),
    "operation_context_ref": ("batch_execution_ref", "stage_execution_ref"),
    "record_ref": ("run_ref", "deployment_execution_ref"),
    "artifact_ref": ("run_ref", "deployment_execution_ref"),
    "environment_snapshot_ref": ("run_ref",),
}
INSIDE_A_STAGE = ("batch_execution_ref", "sample_observation_ref", "operation_context_ref")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Model:
    """A value of the data model. Always valid: every field obeys its rule, and the fields agree with each other.

    Absent optional fields are None, and are left out of `to_dict()` and JSON. Two models are equal when their JSON is.
    """

    ref_field: ClassVar[str] = ""  # the field that holds the model's own reference
    own_rules: ClassVar[Mapping[str, Rule]] = {}  # where a field's rule differs from the table's
    links: ClassVar[tuple[str, ...]] = ()  # references that point elsewhere, and need no parent here
    checks: ClassVar[tuple[Check, ...]] = ()  # rules between fields, besides those that all models have

    schema_version: str = "1.0.0"
    extensions: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        self._settle(strict_keys=True)

    @classmethod
    def from_dict(cls: type[ModelT], values: Values, *, strict_keys: bool = False) -> ModelT:
        """Build the model from a mapping, as `to_dict()` gives it. Raises ValidationError.

        strict_keys: refuse metric and event keys such as `train/loss`, which capture takes.
        """
        problem = next(unknown_fields(cls, values), None) or next(_missing_fields(cls, values), None)
        if problem is not None:
            raise problem
        model = object.__new__(cls)
        for name, _, default in plan(cls):
            object.__setattr__(model, name, values.get(name, default))
        model._settle(strict_keys=strict_keys)
        return model

    @property
    def ref(self) -> str:
        """The model's own reference; empty for parts such as payloads."""
        return str(getattr(self, self.ref_field)) if self.ref_field else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are there as plain dicts, lists, texts and numbers (NaN is still a float)."""
        names = [name for name, _, _ in plan(type(self))]
        return {name: _plain(value) for name in names if (value := getattr(self, name)) is not None and value != ()}

    def to_json(self) -> str:
        """Return the model as one line of strict JSON."""
        return dumps(self.to_dict())

    def _settle(self, *, strict_keys: bool) -> None:
        given = {name: getattr(self, name) for name, _, _ in plan(type(self))}
        kept, problems = examine(type(self), given, strict_keys=strict_keys)
        if problems:
            raise problems[0]
        for name, value in kept.items():
            if value is not given[name]:
                object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.to_json() == self.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.to_dict().items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_dict, (self.to_dict(),)


Plan = tuple[tuple[str, Rule, Any], ...]
_plans: dict[str, Plan] = {}


def plan(model: type[Model]) -> Plan:
    """Return (name, rule, default) of each field, those that every model has last; MISSING: it must be given."""
    made = _plans.get(model.__qualname__)
    if made is not None:
        return made
    fields = dataclasses.fields(model)
    ordered = [field for field in fields if field.name not in ("schema_version", "extensions")]
    ordered += [field for field in fields if field.name in ("schema_version", "extensions")]
    made = tuple((each.name, model.own_rules.get(each.name) or rule_of(each.name), each.default) for each in ordered)
    return _plans.setdefault(model.__qualname__, made)


def examine(model: type[Model], values: Values, *, strict_keys: bool) -> tuple[dict[str, Any], list[ValidationError]]:
    """Apply every rule. Returns the values to keep and all problems; rules between fields only when each is right."""
    kept: dict[str, Any] = {}
    problems: list[ValidationError] = []
    for name, rule, default in plan(model):
        value = values.get(name, default)
        if value is None and default is None:
            kept[name] = None
            continue
        if value is None or value is dataclasses.MISSING:
            problems.append(_missing(model, name))
            continue
        try:
            relaxed = rule is key and not strict_keys and name != "producer_ref"
            kept[name] = captured_key(name, value) if relaxed else rule(name, value)
        except ValidationError as problem:
            problems.append(problem)
    if not problems:
        problems = [problem for check in (*COMMON_CHECKS, *model.checks) for problem in check_of(model, check, kept)]
    return kept, problems


def check_of(model: type[Model], check: Check, values: Values) -> list[ValidationError]:
    """Return what a rule between fields says, the model's links left out where the rule is about parents."""
    shown = {name: value for name, value in values.items() if name not in model.links} if check is parents else values
    return list(check(shown))


def parents(values: Values) -> Iterator[ValidationError]:
    """A child's value is its parent's value and one component more."""
    for child, names in PARENTS.items():
        parent = next((name for name in names if values.get(name) is not None), None)
        if values.get(child) is None or parent is None:
            continue
        if not is_child(parse_ref(values[child]), parse_ref(values[parent])):
            value = values[parent].partition(":")[2]
            yield ValidationError(
                f"{child} is {values[child]!r}; it must be '{values[child].partition(':')[0]}:{value}.<name>', "
                f"because {parent} is {values[parent]!r}.",
                code=f"{child}_prefix_mismatch",
                details={"field": child, "value": values[child], "parent": values[parent]},
            )


def inside_a_stage(values: Values) -> Iterator[ValidationError]:
    """A batch, sample or operation needs its stage."""
    if "stage_execution_ref" not in values or values["stage_execution_ref"] is not None:
        return
    for name in INSIDE_A_STAGE:
        if values.get(name) is not None:
            yield ValidationError(
                f"{name} is {values[name]!r} without its stage; give stage_execution_ref too.",
                code="stage_execution_ref_missing",
                details={"field": name, "value": values[name]},
            )


COMMON_CHECKS: tuple[Check, ...] = (parents, inside_a_stage)


def unknown_fields(model: type[Model], values: Any) -> Iterator[ValidationError]:
    """Yield an error for each name that is no field of the model."""
    if not isinstance(values, Mapping):
        yield ValidationError(f"A {model.__name__} is made of a mapping, not of {values!r}.", code="value_wrong_type")
        return
    known = [name for name, _, _ in plan(model)]
    for name in values:
        if name not in known:
            yield ValidationError(
                f"{model.__name__} has no field {name!r}.{nearest(str(name), known)}",
                code="field_unknown",
                details={"field": name},
            )


def _missing_fields(model: type[Model], values: Values) -> Iterator[ValidationError]:
    for name, _, default in plan(model):
        if default is dataclasses.MISSING and values.get(name) is None:
            yield _missing(model, name)


def _missing(model: type[Model], name: str) -> ValidationError:
    return ValidationError(
        f"{model.__name__} needs {name}.", code="field_missing", details={"field": name, "model": model.__name__}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    return value if isinstance(value, float) else jsonable(value)
