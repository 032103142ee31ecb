"""Write docs/configuration.md: every key, with what contexta/config/sections.py says about it.

    python scripts/generate_configuration.py

A test compares the page with what this returns.
"""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from contexta.config import sections, unified  # noqa: E402
from contexta.config.checking import Section  # noqa: E402
from contexta.config.profiles import OVERLAYS, PROFILES  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"
HEAD = """# Configuration

Written by `scripts/generate_configuration.py`. Later wins: the defaults, the profile, a TOML file (named by
`CONTEXTA_CONFIG_FILE`, or given to `load_config`), variables of the environment, what is given in code:

```python
ctx = Contexta(config={{"project_name": "iris", "capture": {{"spool_bytes": "128MiB"}}}})
```
```toml
project_name = "iris"
[capture]
spool_bytes = "128MiB"
```
```sh
CONTEXTA_PROJECT_NAME=iris CONTEXTA_CAPTURE__SPOOL_BYTES=128MiB python train.py
```

Bytes take `KB`, `MiB` and so on; lists in a variable are separated by commas; times are in seconds. A key that is not
there and a value that cannot be are errors that name what is expected. A daemon that runs keeps the configuration with
which it was started.

A profile ({profiles}) and its overlays ({overlays}) set several keys at once: `profile_name = "local+debug"`.
"""
_MIB = 1 << 20


def page() -> str:
    """Return the whole page."""
    parts = [HEAD.format(profiles=_codes(PROFILES), overlays=_codes(OVERLAYS))]
    for name, section in unified.SECTIONS.items():
        notes = _comments(section)
        parts.append(f"## {name}\n\n{_summary(section)}\n\n| key | default | takes | |\n|---|---|---|---|\n")
        default = section()
        for field in dataclasses.fields(section):  # type: ignore[arg-type]
            cells = f"`{name}.{field.name}`", _shown(field, default), _takes(field), notes.get(field.name, "")
            parts[-1] += f"| {' | '.join(cells)} |\n"
    return "\n".join(parts)


def _codes(names: Iterable[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _summary(section: type[Section]) -> str:
    return " ".join((section.__doc__ or "").split())


def _shown(field: dataclasses.Field[Any], default: Section) -> str:
    value = getattr(default, field.name)
    if field.name.endswith("_bytes"):
        return f"{value // _MIB:,} MiB"
    if isinstance(value, tuple):
        return _codes(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None or value == "" else f"`{value}`"


def _takes(field: dataclasses.Field[Any]) -> str:
    if choices := field.metadata.get("choices"):
        return _codes(choices)
    kind = str(field.type).replace(" | None", "")
    names = {"bool": "true, false", "int": "a whole number", "float": "a number", "Path": "a path"}
    said = "a size" if field.name.endswith("_bytes") else names.get(kind, "a list" if "tuple" in kind else "text")
    least = field.metadata.get("least")
    return said if least is None or said == "a size" else f"{said}, at least {least:g}"


def _comments(section: type[Section]) -> dict[str, str]:
    """Return what the comment on a field's line says."""
    source = Path(sections.__file__).read_text(encoding="utf-8")
    lines = source.splitlines()
    classes = {each.name: each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)}
    found = classes[section.__name__]
    fields = [each for each in found.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]
    comments = ((each.target.id, lines[each.lineno - 1].partition("  # ")[2]) for each in fields)  # type: ignore[union-attr]
    return {name: comment for name, comment in comments if comment}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
