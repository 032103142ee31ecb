"""The page of the torture is what its results say, and every program it names is there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    return loaded("torture"), loaded("torture_page")


def loaded(name: str) -> Any:
    """A script as a module; `torture` is the name of a folder of tests too."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_not_stale(scripts: tuple[Any, Any]) -> None:
    _, page = scripts
    assert page.PAGE.read_text(encoding="utf-8") == page.page(page.kept()), "run python scripts/torture_page.py"


def test_every_part_belongs_to_a_promise_and_every_named_test_is_there(scripts: tuple[Any, Any]) -> None:
    torture, page = scripts
    named = [part for promise in page.PROMISES for part in promise.parts]
    assert sorted(named) == sorted(torture.PARTS)
    assert set(page.kept()) <= set(torture.PARTS)
    missing = [each for promise in page.PROMISES for each in promise.tests if not (ROOT / each).is_file()]
    assert missing == []


def test_what_did_not_hold_is_said(scripts: tuple[Any, Any]) -> None:
    _, page = scripts
    ran = {"figures": ["7 of 9"], "date": "2026-01-31", "seed": 5, "taken_s": 1200}
    results = {"kills": ran | {"failures": ["a|b\nlost"]}, "stopped": ran | {"failures": [], "skipped": "no disk"}}
    lines = page.page(results).splitlines()
    (kills,) = [line for line in lines if "`kills`" in line]
    assert kills.endswith("| `kills` | 7 of 9 | **not as promised**: a/b lost | 2026-01-31, 5, 1,200 s |")
    assert any("`stopped` | 7 of 9 | skipped: no disk" in line for line in lines)
    assert any("`soak` |  | not run for long | " in line for line in lines)
