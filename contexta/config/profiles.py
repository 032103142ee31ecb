"""Profiles (what a machine is for) and overlays (what a session is about), as patches over the defaults.

A name is a profile, optionally followed by overlays: `local`, `test`, `local+debug`, `test+ci`.
"""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError, nearest
from .unified import merge

PROFILES: dict[str, dict[str, Any]] = {
    "local": {},
    # Quick, and leaves nothing running: for tests that capture.
    "test": {
        "capture": {"packages": False, "git": False, "spool_bytes": 8 << 20},
        "records": {"durability": "none"},
        "daemon": {"idle_timeout_s": 10.0},
    },
}

OVERLAYS: dict[str, dict[str, Any]] = {
    # Wait rather than lose, and keep the daemon where its log can be read.
    "debug": {"capture": {"on_full": "block", "block_timeout_s": 1.0}, "daemon": {"idle_timeout_s": 0.0}},
    # A job's machine goes away with it: wait long at the end, leave nothing behind.
    "ci": {
        "capture": {"exit_timeout_s": 60.0},
        "daemon": {"idle_timeout_s": 30.0},
        "surfaces": {"output_format": "json"},
    },
    # Questions only.
    "readonly": {"capture": {"enabled": False, "local_jsonl": False}, "workspace": {"create_missing_dirs": False}},
    # Evidence: keep everything, copies of the files included.
    "forensic": {
        "capture": {"on_full": "block", "block_timeout_s": 5.0, "exit_timeout_s": 60.0},
        "records": {"durability": "fsync"},
        "artifacts": {"mode": "copy"},
        "retention": {"log": "keep"},
    },
}


def profile_patch(name: str, overlays: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the patch of a profile name with its overlays. Raises ConfigError for a name that does not exist."""
    profile, *named = name.split("+")
    patch = dict(_known(PROFILES, "profile", profile))
    for overlay in (*named, *overlays):
        patch = merge(patch, _known(OVERLAYS, "overlay", overlay))
    patch["profile_name"] = "+".join((name, *overlays))
    return patch


def _known(table: dict[str, dict[str, Any]], what: str, name: str) -> dict[str, Any]:
    if name not in table:
        raise ConfigError(
            f"There is no {what} {name!r}.{nearest(name, list(table))} Known: {', '.join(table)}.",
            code="config_unknown_profile",
            details={what: name, "known": list(table)},
        )
    return table[name]
