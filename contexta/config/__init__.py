"""Everything that can be set, and where it is read from."""

from __future__ import annotations

from .loading import load_config, load_profile, make_local_config, make_test_config
from .sections import (
    ArtifactsConfig,
    CaptureConfig,
    ContractConfig,
    DaemonConfig,
    InterpretationConfig,
    RecordsConfig,
    RecoveryConfig,
    RetentionConfig,
    SecurityConfig,
    SurfacesConfig,
    WorkspaceConfig,
)
from .unified import UnifiedConfig

__all__ = [
    "ArtifactsConfig",
    "CaptureConfig",
    "ContractConfig",
    "DaemonConfig",
    "InterpretationConfig",
    "RecordsConfig",
    "RecoveryConfig",
    "RetentionConfig",
    "SecurityConfig",
    "SurfacesConfig",
    "UnifiedConfig",
    "WorkspaceConfig",
    "load_config",
    "load_profile",
    "make_local_config",
    "make_test_config",
]
