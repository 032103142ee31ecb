"""What is made anew from the log is equal to what was there: every table, every point, every line."""

import json
import math

from served import Served
from test_questions_end_to_end import captured, metric
from waiting import wait_until

from contexta.contract import LineageEdge
from contexta.contract.json_text import dumps
from contexta.recovery import rebuild_workspace
from contexta_daemon.query.sql_tables import METRICS, TABLES


def all_tables(ctx):
    return {name: sorted(map(plain, ctx.sql(f"SELECT * FROM {name}").rows)) for name in (*TABLES, METRICS)}


def plain(row):
    """A row as text, so that NULL, NaN and numbers have one order."""
    return json.dumps(["NaN" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row])


def lines_of(served: Served):
    folder = served.path / "cache" / "capture"
    found = {}
    for name in ("record.jsonl", "artifact.jsonl"):
        lines = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        found[name] = sorted(json.dumps(line, sort_keys=True) for line in lines)
    return found


def test_catalog_columns_and_lines_are_made_again_as_they_were(served: Served) -> None:
    ctx = captured(served)
    ctx.metadata_store.relations.put_relation(
        LineageEdge(
            relation_ref="relation:demo.first.cleaned", relation_type="derived_from", source_ref="dataset:sales.jan",
            target_ref="dataset:sales.raw", recorded_at="2026-01-01T00:00:00Z", origin_marker="explicit",
            confidence_marker="high",
        )
    )  # fmt: skip
    ctx.record_store.append_many([metric(f"m{n}", float(n)) for n in range(10)])
    ctx.close()
    served.drained()
    ctx = served.contexta()
    tables, lines = all_tables(ctx), lines_of(served)
    records = [dumps(each.to_dict()) for each in ctx.record_store.scan(all_attempts=True)]
    assert tables["metrics"] and tables["relations"] and tables["workers"] and lines["artifact.jsonl"]
    ctx.close()

    rebuild_workspace(ctx.config)

    ctx = served.contexta()
    assert all_tables(ctx) == tables
    assert [dumps(each.to_dict()) for each in ctx.record_store.scan(all_attempts=True)] == records
    wait_until(lambda: all(len(mine) >= len(lines[name]) for name, mine in lines_of(served).items()))
    assert lines_of(served) == lines
