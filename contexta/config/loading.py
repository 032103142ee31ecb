"""Where the configuration comes from.

Later wins: the defaults, the profile, the TOML file, the `CONTEXTA_*` variables, the patch given in code.

A variable names a key in capitals, the part and the key joined by two underscores:
`CONTEXTA_PROJECT_NAME=iris`, `CONTEXTA_CAPTURE__SPOOL_BYTES=128MiB`, `CONTEXTA_CAPTURE__ENVIRONMENT_VARIABLES=A,B`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .checking import from_text, unknown_key
from .profiles import profile_patch
from .unified import SECTIONS, UnifiedConfig, checked_patch, merge

PREFIX = "CONTEXTA_"
FILE_VARIABLE = "CONTEXTA_CONFIG_FILE"

# Variables that are not configuration: what a launcher or a parent process says to its children.
RESERVED = frozenset(
    {
        FILE_VARIABLE,
        "CONTEXTA_JOB_ID",
        "CONTEXTA_RANK",
        "CONTEXTA_LOCAL_RANK",
        "CONTEXTA_WORLD_SIZE",
        "CONTEXTA_SPOOL_DIR",
        "CONTEXTA_PARENT_SESSION",
        "CONTEXTA_PYTHON",
        "CONTEXTA_LOG_LEVEL",
    }
)


def load_config(
    path: str | os.PathLike[str] | None = None,
    *,
    profile: str | None = None,
    workspace: str | os.PathLike[str] | None = None,
    patch: UnifiedConfig | Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> UnifiedConfig:
    """Build the configuration from all its sources.

    path: a TOML file; without one, the file that CONTEXTA_CONFIG_FILE names, if it does. workspace: the root path, as
    if it stood in the patch. patch: a nested mapping; a UnifiedConfig is complete and is returned as it is, with
    `workspace` laid over it. Raises ConfigError.
    """
    rooted: dict[str, Any] = {} if workspace is None else {"workspace": {"root_path": workspace}}
    if isinstance(patch, UnifiedConfig):
        return patch.patched(rooted) if rooted else patch
    variables = os.environ if environ is None else environ
    layers = [environment_patch(variables), rooted, checked_patch(patch or {})]
    source = path or variables.get(FILE_VARIABLE)
    if source:
        layers.insert(0, read_file(Path(source)))
    given = next((each["profile_name"] for each in reversed(layers) if "profile_name" in each), "local")
    merged = profile_patch(str(profile or given))
    name = merged["profile_name"]
    for layer in layers:
        merged = merge(merged, layer)
    merged["profile_name"] = name
    return UnifiedConfig.from_dict(merged)


def load_profile(name: str = "local", *, overlays: tuple[str, ...] = ()) -> UnifiedConfig:
    """Return the defaults with a profile and its overlays, and nothing else. Raises ConfigError on unknown names."""
    return UnifiedConfig.from_dict(profile_patch(name, tuple(overlays)))


def make_local_config(
    root_path: str | os.PathLike[str] = ".contexta", *, project_name: str = "default"
) -> UnifiedConfig:
    """Return the configuration of profile `local` for a workspace."""
    return load_profile("local").patched({"project_name": project_name, "workspace": {"root_path": root_path}})


def make_test_config(root_path: str | os.PathLike[str], *, project_name: str = "test") -> UnifiedConfig:
    """Return the configuration of profile `test` for a workspace, which a test gives: its own temporary folder."""
    return load_profile("test").patched({"project_name": project_name, "workspace": {"root_path": root_path}})


def read_file(path: Path) -> dict[str, Any]:
    """Read a TOML file as a patch. Raises ConfigError when it cannot be read, is no TOML, or has unknown keys."""
    import tomllib

    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # also numbers too long and tables too deep for Python
        raise ConfigError(
            f"The configuration file {path} cannot be read: {error}.",
            code="config_file_unreadable",
            details={"path": str(path)},
            cause=error,
        ) from error
    return checked_patch(values)


def environment_patch(variables: Mapping[str, str]) -> dict[str, Any]:
    """Read the `CONTEXTA_*` variables as a patch. Raises ConfigError on one that names no key."""
    patch: dict[str, Any] = {}
    for variable in sorted(variables):
        if not variable.startswith(PREFIX) or variable in RESERVED:
            continue
        section_name, _, name = variable[len(PREFIX) :].lower().rpartition("__")
        section = SECTIONS.get(section_name) if section_name else UnifiedConfig
        fields = {each.name: each for each in dataclasses.fields(section)} if section else {}  # type: ignore[arg-type]
        if name not in fields or (not section_name and name in SECTIONS):
            raise unknown_key(variable, sorted(set(variables_of_keys()) - {variable}))
        value = from_text(fields[name], variables[variable], key=variable)
        (patch.setdefault(section_name, {}) if section_name else patch)[name] = value
    return patch


def variables_of_keys() -> list[str]:
    """Return the name of the variable of every key."""
    top = [name for name in UnifiedConfig.field_names() if name not in SECTIONS]
    nested = [f"{part}__{name}" for part, section in SECTIONS.items() for name in section.field_names()]
    return [PREFIX + name.upper() for name in (*top, *nested)]
