"""docs/sql.md names every table and column that SQL sees, and no other."""

import re
from pathlib import Path

from contexta_daemon.columns.schema import TYPES
from contexta_daemon.query.sql_tables import METRICS, TABLES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sql.md"


def test_the_page_draws_the_tables_as_they_are():
    drawn = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        name, _, body = part.partition("\n")
        drawn[name] = re.findall(r"^\| `(\w+)` \| (\w+) \|$", body, re.MULTILINE)
    wanted = {name: [tuple(c.replace('"', "").split(" ")) for c in table.columns.split(", ")]
              for name, table in TABLES.items()}  # fmt: skip
    wanted[METRICS] = [("metric_key" if name == "key" else name, kind) for name, kind in TYPES.items()]
    assert drawn == wanted
