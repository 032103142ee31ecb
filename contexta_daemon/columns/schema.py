"""What stands in the files. Drawn in docs/format/columns.md."""

from __future__ import annotations

# Files of another version are put away, and made again. Where the log dropped its metrics, they are made of the files
# that were put away: another version must still be able to read those of this one (bodies.py).
VERSION = 1

# Every column and its type, in the order of the file.
TYPES = {
    "run_id": "VARCHAR", "attempt": "INTEGER", "stage_id": "VARCHAR", "batch_id": "VARCHAR", "sample_id": "VARCHAR",
    "operation_id": "VARCHAR", "deployment_id": "VARCHAR", "key": "VARCHAR", "unit": "VARCHAR", "rank": "INTEGER",
    "step": "BIGINT", "time_ns": "BIGINT", "value": "DOUBLE", "wide": "VARCHAR", "value_bits": "BIGINT",
    "session": "VARCHAR", "sequence": "BIGINT",
}  # fmt: skip
SORTED_BY = (
    "run_id NULLS FIRST, attempt NULLS FIRST, key, stage_id NULLS FIRST, rank NULLS FIRST, step NULLS FIRST, time_ns, "
    "session, sequence"
)
