"""Wall-clock instants: nanoseconds since 1970 (UTC) <-> ISO-8601 text ending in Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

_EPOCH = datetime(1970, 1, 1)
# What datetime can print: years 1 to 9999. A clock beyond that is shown as the nearest end, never an exception.
_MIN_S = -62_135_596_800
_MAX_S = 253_402_300_799
_TEXT_BYTES = 27  # 2026-01-01T00:00:00.000000Z
_SECONDS_PREFIX_BYTES = 20


def format_ns(time_ns: int) -> str:
    """Return `2026-01-01T00:00:00.000000Z`: microseconds, rounded down."""
    return f"{_second_text(time_ns // 1_000_000_000)}{time_ns // 1000 % 1_000_000:06d}Z"


def _second_text(second: int) -> str:
    at = _EPOCH + timedelta(seconds=min(max(second, _MIN_S), _MAX_S))
    return f"{at.isoformat()}."


def format_ns_array(time_ns: npt.NDArray[np.int64]) -> list[bytes]:
    """The same for many at once, as ASCII: about 60 ns each, because seconds repeat and digits are vectorised."""
    seconds, micros = np.divmod(time_ns // 1000, 1_000_000)
    distinct, place = np.unique(seconds, return_inverse=True)
    prefixes = np.array([_second_text(int(s)).encode() for s in distinct], dtype=f"S{_SECONDS_PREFIX_BYTES}")
    text = np.empty((len(time_ns), _TEXT_BYTES), dtype=np.uint8)
    as_bytes = prefixes.view(np.uint8).reshape(-1, _SECONDS_PREFIX_BYTES)
    text[:, :_SECONDS_PREFIX_BYTES] = as_bytes[place.reshape(-1)]
    for digit in range(6):
        micros, rest = np.divmod(micros, 10)
        text[:, _TEXT_BYTES - 2 - digit] = rest + ord("0")
    text[:, _TEXT_BYTES - 1] = ord("Z")
    listed: list[bytes] = text.reshape(-1).view(f"S{_TEXT_BYTES}").tolist()
    return listed


def parse_instant(text: str) -> int:
    """Return the nanoseconds of an ISO-8601 text; without an offset it is taken as UTC. Raises ValueError."""
    head, dot, tail = text.partition(".")
    digits = 0
    while digits < len(tail) and tail[digits].isdigit():
        digits += 1
    at = datetime.fromisoformat(head + tail[digits:] if dot else text)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    elapsed = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000_000 + int((tail[:digits] + "000000000")[:9])
