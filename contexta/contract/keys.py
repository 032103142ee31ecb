"""Keys of metrics, events and producers: dot-joined `[a-z][a-z0-9-]*` tokens. An artifact kind: `[a-z][a-z0-9_]*`.

At capture any text is taken as a key and kept as written (`train/loss`, `val_acc`); the models ask for the strict form.
"""

from __future__ import annotations

import re

MAX_KEY_CHARS = 255
MAX_TEXT_BYTES = 64 << 10  # of a metric's unit, and of its tags as JSON: each line of the capture files repeats them

_KEY = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)*", re.ASCII)
_ARTIFACT_KIND = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


def is_canonical_key(key: object) -> bool:
    """Whether a key has the strict form."""
    return isinstance(key, str) and len(key) <= MAX_KEY_CHARS and _KEY.fullmatch(key) is not None


def is_artifact_kind(kind: object) -> bool:
    """Whether a text may be an artifact's kind."""
    return isinstance(kind, str) and len(kind) <= 63 and _ARTIFACT_KIND.fullmatch(kind) is not None
