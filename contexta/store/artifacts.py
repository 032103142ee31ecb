"""A content store for artifacts on any folder, without a daemon. Names are imported when they are first used."""

from __future__ import annotations

from .._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contexta_client.artifact_store.answers import (
        ArtifactVerification,
        ExportReceipt,
        ImportReceipt,
        PutReceipt,
        StoredArtifact,
        StoreSummary,
        StoreVerification,
        VaultConfig,
    )
    from contexta_client.artifact_store.store import ArtifactStore, export_artifact, import_export_package
    from contexta_client.artifact_store.workspace_artifacts import WorkspaceArtifacts

__all__ = [
    "ArtifactStore",
    "ArtifactVerification",
    "ExportReceipt",
    "ImportReceipt",
    "PutReceipt",
    "StoreSummary",
    "StoreVerification",
    "StoredArtifact",
    "VaultConfig",
    "WorkspaceArtifacts",
    "export_artifact",
    "import_export_package",
]

_HOMES = {
    **dict.fromkeys(
        (
            "ArtifactVerification",
            "ExportReceipt",
            "ImportReceipt",
            "PutReceipt",
            "StoreSummary",
            "StoreVerification",
            "StoredArtifact",
            "VaultConfig",
        ),
        "answers",
    ),
    **dict.fromkeys(("ArtifactStore", "export_artifact", "import_export_package"), "store"),
    "WorkspaceArtifacts": "workspace_artifacts",
}

__getattr__, __dir__ = lazy_names("contexta_client.artifact_store", _HOMES)
