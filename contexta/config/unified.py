"""The whole configuration, and how patches are laid over it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError, NotFoundError
from . import sections
from .checking import Section, choice, unknown_key, wrong_value


@dataclass(frozen=True, eq=False, repr=False)
class UnifiedConfig(Section):
    """Everything that can be set. Immutable; `patched` returns a changed copy."""

    config_version: str = choice("1")
    profile_name: str = "local"
    project_name: str = "default"
    workspace: sections.WorkspaceConfig = field(default_factory=sections.WorkspaceConfig)
    contract: sections.ContractConfig = field(default_factory=sections.ContractConfig)
    capture: sections.CaptureConfig = field(default_factory=sections.CaptureConfig)
    records: sections.RecordsConfig = field(default_factory=sections.RecordsConfig)
    artifacts: sections.ArtifactsConfig = field(default_factory=sections.ArtifactsConfig)
    daemon: sections.DaemonConfig = field(default_factory=sections.DaemonConfig)
    interpretation: sections.InterpretationConfig = field(default_factory=sections.InterpretationConfig)
    recovery: sections.RecoveryConfig = field(default_factory=sections.RecoveryConfig)
    surfaces: sections.SurfacesConfig = field(default_factory=sections.SurfacesConfig)
    retention: sections.RetentionConfig = field(default_factory=sections.RetentionConfig)
    security: sections.SecurityConfig = field(default_factory=sections.SecurityConfig)

    def patched(self, patch: Mapping[str, object]) -> UnifiedConfig:
        """Return a copy with a nested mapping laid over it. Raises ConfigError on unknown keys and wrong values.

        Workspace paths that followed from the old `root_path` follow a new one.
        """
        return UnifiedConfig.from_dict(merge(self.to_dict(), checked_patch(patch)))

    def anchored(self) -> UnifiedConfig:
        """Return a copy with absolute workspace paths, so that a later change of the working folder moves nothing.

        Raises ConfigError for a relative path where the working folder was removed.
        """
        names = ["root_path", *sections.WorkspaceConfig.path_names()]
        try:
            paths = {name: os.path.abspath(getattr(self.workspace, name)) for name in names}  # noqa: PTH100 - see below
        except FileNotFoundError as error:
            raise ConfigError(
                f"The workspace {str(self.workspace.root_path)!r} is relative to a working folder that was removed. "
                "Write an absolute path, or change to a folder that is there.",
                code="working_folder_removed",
                details={"key": "workspace.root_path"},
                cause=error,
            ) from error
        return replace(self, workspace=replace(self.workspace, **paths))  # not resolved: links stay as given

    def for_services(self) -> dict[str, Any]:
        """Return `to_dict()` with absolute workspace paths: what sender and daemon, who run elsewhere, are told.

        Raises ConfigError as `anchored`.
        """
        return self.anchored().to_dict()


def check_folder(workspace: Path, *, create_missing_dirs: bool) -> None:
    """Raise NotFoundError where a workspace is not there and must not be made."""
    if not create_missing_dirs and not workspace.is_dir():
        raise NotFoundError(
            f"There is no workspace at {workspace}, and workspace.create_missing_dirs is off. Make the folder, correct "
            "its path, or switch it on.",
            code="workspace_not_found",
            details={"workspace": str(workspace)},
        )


SECTIONS: dict[str, type[Section]] = {
    each.section_name: each
    for each in vars(sections).values()
    if isinstance(each, type) and issubclass(each, Section) and each.section_name
}


def checked_patch(patch: Mapping[str, object]) -> dict[str, Any]:
    """Return a patch as plain nested dicts. Raises ConfigError when it holds a key that does not exist."""
    if not isinstance(patch, Mapping):
        raise wrong_value("config", patch, "a UnifiedConfig or a nested mapping")
    plain: dict[str, Any] = {}
    for name, value in patch.items():
        section = SECTIONS.get(name)
        if section is not None and isinstance(value, Mapping):
            section.check_names(value)
            plain[name] = dict(value)
        elif section is not None and isinstance(value, section):
            plain[name] = value.to_dict()
        elif section is not None:
            raise wrong_value(name, value, f"a {section.__name__} or a mapping")
        elif name in UnifiedConfig.field_names():
            plain[name] = value
        else:
            raise unknown_key(str(name), UnifiedConfig.field_names())
    return plain


def merge(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a checked patch over the values of a configuration, and return the new values."""
    merged = dict(base)
    for name, value in patch.items():
        if name not in SECTIONS:
            merged[name] = value
            continue
        values = dict(merged.get(name, {}))
        if name == "workspace" and "root_path" in value:
            _unbind_paths(values)
        merged[name] = {**values, **value}
    return merged


def _unbind_paths(workspace: dict[str, Any]) -> None:
    """Forget the paths that followed from the root, so that they follow the new one."""
    defaults = sections.WorkspaceConfig(**{key: workspace[key] for key in ("root_path",) if key in workspace})
    for name in sections.WorkspaceConfig.path_names():
        if workspace.get(name) == str(getattr(defaults, name)):
            del workspace[name]
