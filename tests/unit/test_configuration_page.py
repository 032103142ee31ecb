"""The page of all settings is what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from contexta.config import unified

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_the_configuration_is_not_stale() -> None:
    place = ROOT / "scripts" / "generate_configuration.py"
    spec = importlib.util.spec_from_file_location("generate_configuration", place)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = script.page()
    assert script.PAGE.read_text(encoding="utf-8") == page, f"stale: run python {place.relative_to(ROOT)}"
    keys = [f"`{name}.{key}`" for name, section in unified.SECTIONS.items() for key in section.field_names()]
    assert all(key in page for key in keys)
