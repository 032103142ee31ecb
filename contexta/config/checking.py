"""How a configuration value is checked: by the annotation of its field, when a part is built.

Everything given is checked, wherever it came from, and a mistake is a ConfigError that names the key, the value and
what is expected. Nothing here reads files or the environment.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ..errors import ConfigError, nearest

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}

SectionT = TypeVar("SectionT", bound="Section")


def choice(default: str, *others: str) -> Any:
    """A text field that takes its default or one of the others."""
    return dataclasses.field(default=default, metadata={"choices": (default, *others)})


def at_least(default: float | None, least: float) -> Any:
    """A number field with a lower bound."""
    return dataclasses.field(default=default, metadata={"least": least})


class Section:
    """A part of the configuration. Always holds checked values: `__post_init__` converts or refuses each one."""

    section_name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            checked = _checked(field, value, key=self.key_of(field.name))
            if checked is not value:
                object.__setattr__(self, field.name, checked)

    @classmethod
    def key_of(cls, name: str) -> str:
        """Return the dotted key of a field."""
        return f"{cls.section_name}.{name}" if cls.section_name else name

    @classmethod
    def field_names(cls) -> list[str]:
        return [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls: type[SectionT], values: Mapping[str, object]) -> SectionT:
        """Build the part from a mapping. Raises ConfigError on a key that it does not have."""
        cls.check_names(values)
        return cls(**values)

    @classmethod
    def check_names(cls, names: Iterable[object]) -> None:
        """Raise ConfigError for the first name that is no key of this part."""
        known = cls.field_names()
        for name in names:
            if name not in known:
                raise unknown_key(cls.key_of(str(name)), [cls.key_of(each) for each in known])

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a mapping that JSON and TOML can hold: paths are text, tuples are lists."""
        return {name: _plain(getattr(self, name)) for name in self.field_names()}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.field_names())

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.field_names()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.field_names())
        return f"{type(self).__name__}({values})"


def unknown_key(key: str, known: list[str]) -> ConfigError:
    """The error for a key that does not exist."""
    return ConfigError(
        f"There is no configuration key {key!r}.{nearest(key, known) or ' Known here: ' + ', '.join(known) + '.'}",
        code="config_unknown_key",
        details={"key": key, "known": known},
    )


def wrong_value(key: str, value: object, expected: str) -> ConfigError:
    """The error for a value that a key cannot take."""
    return ConfigError(
        f"Configuration key {key!r} cannot be {value!r}; it takes {expected}.",
        code="config_wrong_value",
        details={"key": key, "value": value, "expected": expected},
    )


def parse_size(text: str) -> int | None:
    """Return the bytes of a text such as `64MiB` or `1000`, None for anything else."""
    digits = text.strip().rstrip("KMGTiB ")
    unit = text.strip()[len(digits) :].strip()
    return int(digits) * _UNITS[unit] if digits.isascii() and digits.isdigit() and unit in _UNITS else None


def from_text(field: dataclasses.Field[Any], text: str, *, key: str) -> object:
    """Turn the text of an environment variable into what the field holds, or raise ConfigError."""
    kind, _, optional = str(field.type).partition(" | ")
    if optional and not text.strip():
        return None
    if kind == "bool":
        lowered = text.strip().lower()
        if lowered in _TRUE or lowered in _FALSE:
            return lowered in _TRUE
        raise wrong_value(key, text, "true or false")
    if kind == "tuple[str, ...]":
        return tuple(item.strip() for item in text.split(",") if item.strip())
    if kind in ("int", "float"):
        size = parse_size(text) if field.name.endswith("_bytes") else None
        try:
            return size if size is not None else int(text) if kind == "int" else float(text)
        except ValueError:
            raise wrong_value(key, text, _expected(field, kind)) from None
    return text


def _checked(field: dataclasses.Field[Any], value: Any, *, key: str) -> Any:
    section: Any = field.default_factory
    if section is not dataclasses.MISSING:
        if isinstance(value, Mapping):
            return section.from_dict(value)
        if not isinstance(value, section):
            raise wrong_value(key, value, f"a {section.__name__} or a mapping")
        return value
    kind, _, optional = str(field.type).partition(" | ")
    if value is None and optional:
        return None
    converted = _converted(field, kind, value)
    if converted is None or not _allowed(field, converted):
        raise wrong_value(key, value, _expected(field, kind) + (" or nothing" if optional else ""))
    return converted


def _converted(field: dataclasses.Field[Any], kind: str, value: Any) -> Any:
    """Return the value as the field's kind, None where it is none."""
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "int":
        if isinstance(value, str) and field.name.endswith("_bytes"):
            return parse_size(value)
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    if kind == "float":
        usable = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if usable and abs(value) < float("inf") else None
    if kind == "Path":
        is_path = value and (isinstance(value, str) or hasattr(value, "__fspath__"))
        return Path(os.path.expanduser(value)) if is_path else None  # noqa: PTH111 - Path's raises for nobody's ~name
    if kind == "tuple[str, ...]":
        usable = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        return tuple(value) if usable else None
    return value if isinstance(value, str) else None


def _allowed(field: dataclasses.Field[Any], value: Any) -> bool:
    choices = field.metadata.get("choices")
    if choices is not None:
        return value in choices
    least = field.metadata.get("least")
    return least is None or value >= least


def _expected(field: dataclasses.Field[Any], kind: str) -> str:
    choices = field.metadata.get("choices")
    if choices is not None:
        return " or ".join(repr(each) for each in choices)
    least = field.metadata.get("least")
    bound = "" if least is None else f", at least {least}"
    names = {
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "str": "text",
        "Path": "a path",
        "tuple[str, ...]": "a list of texts",
    }
    if field.name.endswith("_bytes"):
        return f"a number of bytes (also '64MiB'){bound}"
    return names[kind] + bound


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.to_dict()
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
