"""Times: ISO-8601 text in UTC ending in `Z`, and nanoseconds since 1970.

What was given without a fraction is printed without one; what has one keeps the digits it was given, up to nine.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import ValidationError

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|z|[+-]\d\d:?\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS = 1_000_000_000


def format_ns(time_ns: int) -> str:
    """Return nanoseconds since 1970 as text, to the microsecond: `2025-01-10T09:00:00.123456Z`.

    A whole second has no fraction.
    """
    seconds, rest = divmod(time_ns, NS)
    micros = rest // 1000
    try:
        text = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
    except OverflowError:
        raise ValidationError(
            f"{time_ns} ns since 1970 is no time between the years 1 and 9999.",
            code="time_out_of_range",
            details={"time_ns": time_ns},
        ) from None
    return f"{text}.{micros:06d}Z" if micros else f"{text}Z"


def parse_ns(text: str) -> int:
    """Return a time's text as nanoseconds since 1970. Raises ValidationError when it is not one with a zone."""
    moment, fraction = _parse(text)
    elapsed = moment - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * NS + int(fraction.ljust(9, "0") or 0)


def format_time(moment: datetime) -> str:
    """Return an aware datetime as text. Raises ValidationError for one without a zone."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValidationError(
            f"The time {moment.isoformat()} has no zone; write datetime.now(timezone.utc) or add tzinfo.",
            code="time_without_zone",
            details={"time": moment.isoformat()},
        )
    text = moment.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def canonical_time(value: Any, *, field: str = "time") -> str:
    """Return a time given as text or aware datetime as text in UTC. Raises ValidationError naming the field."""
    if isinstance(value, datetime):
        return format_time(value)
    if not isinstance(value, str):
        raise ValidationError(
            f"{field} is {value!r}; give ISO-8601 text in UTC such as '2025-01-10T09:00:00Z', or an aware datetime.",
            code="time_wrong_type",
            details={"field": field},
        )
    if len(value) == 20 and value[19] == "Z" and value[10] == "T" and _TIME.fullmatch(value):
        _parse(value, field=field)
        return value
    moment, fraction = _parse(value, field=field)
    return moment.isoformat()[:19] + (f".{fraction}Z" if fraction else "Z")


def _parse(text: str, *, field: str = "time") -> tuple[datetime, str]:
    """Return a time's whole seconds in UTC, and the digits of its fraction."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValidationError(
            f"{field} is {text!r}; write ISO-8601 with a zone, such as '2025-01-10T09:00:00Z'.",
            code="time_invalid",
            details={"field": field, "value": text},
        )
    *parts, fraction, zone = match.groups()
    try:
        year, month, day, hour, minute, second = map(int, parts)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        if zone not in "Zz":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            moment = moment - offset if zone[0] == "+" else moment + offset
    except (ValueError, OverflowError) as error:
        raise ValidationError(
            f"{field} is {text!r}, which is no time: {error}.",
            code="time_invalid",
            details={"field": field, "value": text},
        ) from error
    return moment, fraction or ""
