"""Backups of a workspace, their restoring, and sending again what the user's sinks missed.

Names are imported when they are first used.
"""

from __future__ import annotations

from ._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contexta_client.recovery.answers import (
        BackupPlan,
        BackupResult,
        RebuildResult,
        ReplayResult,
        RestorePlan,
        RestoreProblem,
        RestoreResult,
    )
    from contexta_client.recovery.backup import create_workspace_backup, list_backups, plan_workspace_backup
    from contexta_client.recovery.rebuild import rebuild_workspace
    from contexta_client.recovery.replay import replay_outbox
    from contexta_client.recovery.restore import plan_restore, restore_workspace

__all__ = [
    "BackupPlan",
    "BackupResult",
    "RebuildResult",
    "ReplayResult",
    "RestorePlan",
    "RestoreProblem",
    "RestoreResult",
    "create_workspace_backup",
    "list_backups",
    "plan_restore",
    "plan_workspace_backup",
    "rebuild_workspace",
    "replay_outbox",
    "restore_workspace",
]

_HOMES = {
    **dict.fromkeys(
        (
            "BackupPlan",
            "BackupResult",
            "RebuildResult",
            "ReplayResult",
            "RestorePlan",
            "RestoreProblem",
            "RestoreResult",
        ),
        "answers",
    ),
    **dict.fromkeys(("create_workspace_backup", "list_backups", "plan_workspace_backup"), "backup"),
    **dict.fromkeys(("plan_restore", "restore_workspace"), "restore"),
    "rebuild_workspace": "rebuild",
    "replay_outbox": "replay",
}

__getattr__, __dir__ = lazy_names("contexta_client.recovery", _HOMES)
