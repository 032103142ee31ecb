"""Times in questions, as the numbers that the catalog and the log compare."""

from __future__ import annotations

from contexta.errors import ValidationError
from contexta_daemon.batches import parse_instant
from contexta_daemon.catalog.stored import INT64

MIN_NS, MAX_NS = INT64[0], INT64[-1]  # the years 1677 to 2262


def asked_ns(text: str) -> int:
    """Return a time in ns since 1970, that of the nearest bound for one beyond MIN_NS or MAX_NS.

    Raises ValidationError for what is no time.
    """
    try:
        return min(max(parse_instant(text), MIN_NS), MAX_NS)
    except (ValueError, OverflowError) as error:
        raise ValidationError(
            f"{text!r} is no time; write it like 2026-01-31T09:00:00Z.", code="invalid_argument"
        ) from error
