"""References: `kind:value`, the names that things keep for ever.

`kind` is `[a-z][a-z0-9_]*`; `value` is dot-joined components, each `[a-z0-9]+(-[a-z0-9]+)*` of at most 63 characters;
the whole text is at most 255. A child's value is its parent's value and one component more.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import ValidationError

MAX_COMPONENT_CHARS = 63
MAX_REF_CHARS = 255

# kind -> how many components its value has. Kinds that are not here (`dataset`) may have any number.
COMPONENTS: dict[str, tuple[int, ...]] = {
    "project": (1,),
    "run": (2,),
    "deployment": (2,),
    "stage": (3,),
    "batch": (4,),
    "sample": (4, 5),
    "op": (4, 5),
    "record": (3,),
    "artifact": (3,),
    "environment": (3,),
    "relation": (3,),
    "provenance": (3,),
}

_KIND = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_COMPONENT = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_OTHER = re.compile(r"[^a-z0-9]+", re.ASCII)


class Reference(NamedTuple):
    """A reference taken apart."""

    kind: str
    components: tuple[str, ...]

    @property
    def value(self) -> str:
        """The dot-joined components."""
        return ".".join(self.components)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


def parse_ref(text: str, *, kind: str | None = None, field: str = "reference") -> Reference:
    """Take a reference apart. Raises ValidationError when it breaks a rule, or is not of the kind asked for."""
    if not isinstance(text, str):
        raise _invalid(field, text, "give text such as 'run:iris-svm.linear-svm'")
    if len(text) > MAX_REF_CHARS:
        raise _invalid(
            field, text, f"it has {len(text)} characters, at most {MAX_REF_CHARS} are allowed", "ref_too_long"
        )
    found, colon, value = text.partition(":")
    if not colon or not _KIND.fullmatch(found):
        example = "dataset:iris.v2" if field == "dataset_ref" else f"{kind or 'run'}:iris-svm.linear-svm"
        raise _invalid(field, text, f"write kind:value, such as {example!r}")
    if kind is not None and found != kind:
        raise _invalid(field, text, f"it must begin with '{kind}:'", "ref_kind_mismatch")
    components = tuple(value.split("."))
    for component in components:
        _check_component(component, field=field, text=text)
    counts = COMPONENTS.get(found)
    if counts is not None and len(components) not in counts:
        allowed = " or ".join(map(str, counts))
        said = f"one of kind {found!r} has {allowed} components, not {len(components)}"
        raise _invalid(field, text, said, "ref_component_count")
    return Reference(found, components)


def format_ref(kind: str, *components: str) -> str:
    """Join a kind and components to a reference. Raises ValidationError when it would break a rule."""
    text = f"{kind}:{'.'.join(components)}"
    parse_ref(text)
    return text


def child_ref(kind: str, parent: str, component: str) -> str:
    """Return the reference of a kind below a parent: `child_ref("stage", "run:p.r", "train")` is `stage:p.r.train`.

    Raises ValidationError when it would break a rule, its length for instance.
    """
    text = f"{kind}:{parent.partition(':')[2]}.{component}"
    parse_ref(text)
    return text


def is_ref(text: object, *, kind: str | None = None) -> bool:
    """Whether a text is a reference (of a kind)."""
    try:
        parse_ref(text, kind=kind)  # type: ignore[arg-type]
    except ValidationError:
        return False
    return True


def slug(name: str, *, what: str = "name") -> str:
    """Turn a name into a component: lower-cased, runs of other characters as `-`.

    A longer result than 63 characters keeps its first 54 and gets a hash of the whole name, so that it stays distinct.
    Raises ValidationError for a name with a dot, or with nothing left, saying what to write instead.
    """
    if not isinstance(name, str):
        raise ValidationError(
            f"The {what} is {name!r}; give a text such as 'epoch-1'.", code="name_wrong_type", details={"name": name}
        )
    if "." in name:
        raise ValidationError(
            f"The {what} {name!r} has a dot, which separates the parts of a reference. "
            f"Write {name.replace('.', '-')!r}.",
            code="name_with_dot",
            details={"name": name},
        )
    component = _OTHER.sub("-", name.lower()).strip("-")
    if not component:
        raise ValidationError(
            f"The {what} {name!r} has no letter a to z and no digit, so no reference can be made of it. "
            "Write a name such as 'epoch-1'.",
            code="name_empty",
            details={"name": name},
        )
    if len(component) > MAX_COMPONENT_CHARS:
        from hashlib import blake2b

        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        component = f"{component[:54].rstrip('-')}-{digest}"
    return component


def is_child(child: Reference, parent: Reference) -> bool:
    """Whether a value is its parent's value and one component more."""
    return child.components[:-1] == parent.components


def _check_component(component: str, *, field: str, text: str) -> None:
    if len(component) > MAX_COMPONENT_CHARS:
        reason = (
            f"the component {component!r} has {len(component)} characters, at most {MAX_COMPONENT_CHARS} are allowed"
        )
        raise _invalid(field, text, reason, "ref_component_too_long")
    if not _COMPONENT.fullmatch(component):
        reason = f"the component {component!r} may only have a to z, 0 to 9 and single hyphens between them"
        raise _invalid(field, text, reason)


def _invalid(field: str, text: object, reason: str, code: str = "ref_invalid") -> ValidationError:
    return ValidationError(f"{field} is {text!r}: {reason}.", code=code, details={"field": field, "value": text})
