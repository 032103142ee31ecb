"""What happens to a file of a workspace right before a backup copies it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contexta_client.recovery import backup


@pytest.fixture
def vanishing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[Path], object]], None]:
    """Have something happen, once, right before a file of this name is copied."""
    copy = backup._copy

    def before_copying(name: str, act: Callable[[Path], object]) -> None:
        todo = [act]

        def copied(listed: Any, target: Path) -> Any:
            if listed.source.name == name and todo:
                todo.pop()(listed.source)
            return copy(listed, target)

        monkeypatch.setattr(backup, "_copy", copied)

    return before_copying
