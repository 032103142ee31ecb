"""Times: read from what users give, printed as they were given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from contexta.contract import canonical_time, format_ns, format_time, parse_ns
from contexta.errors import ValidationError


def test_what_was_given_without_a_fraction_is_printed_without_one() -> None:
    assert canonical_time("2025-01-10T09:00:00Z") == "2025-01-10T09:00:00Z"
    assert canonical_time(datetime(2025, 1, 10, 9, tzinfo=UTC)) == "2025-01-10T09:00:00Z"
    assert format_ns(1736499600 * 10**9) == "2025-01-10T09:00:00Z"


def test_a_fraction_keeps_the_digits_it_was_given() -> None:
    assert canonical_time("2025-01-10T09:00:00.5Z") == "2025-01-10T09:00:00.5Z"
    assert canonical_time("2025-01-10T09:00:00.123456789Z") == "2025-01-10T09:00:00.123456789Z"
    assert canonical_time(datetime(2025, 1, 10, 9, 0, 0, 250000, tzinfo=UTC)) == "2025-01-10T09:00:00.250000Z"


@pytest.mark.parametrize(
    "text",
    ["2025-01-10T11:00:00+02:00", "2025-01-10T11:00:00+0200", "2025-01-10 04:30:00-04:30", "2025-01-10t09:00:00z"],
)
def test_every_zone_becomes_utc(text: str) -> None:
    assert canonical_time(text) == "2025-01-10T09:00:00Z"


def test_an_aware_datetime_of_another_zone_becomes_utc() -> None:
    moment = datetime(2025, 1, 10, 11, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2025-01-10T09:00:00Z"


def test_a_time_without_a_zone_is_refused_and_told_what_to_write() -> None:
    with pytest.raises(ValidationError, match="timezone") as caught:
        canonical_time(datetime(2025, 1, 10))
    assert caught.value.code == "time_without_zone"
    with pytest.raises(ValidationError) as caught:
        canonical_time("2025-01-10T09:00:00", field="started_at")
    assert caught.value.code == "time_invalid"
    assert "started_at" in caught.value.message


@pytest.mark.parametrize(
    "text", ["", "now", "2025-13-01T00:00:00Z", "2025-02-30T00:00:00Z", "2025-01-01T24:00:00Z", "２025-01-01T00:00:00Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        canonical_time(text)


@pytest.mark.parametrize("value", [None, 3, 1.5, object()])
def test_what_is_neither_text_nor_datetime_is_refused(value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        canonical_time(value)
    assert caught.value.code == "time_wrong_type"


@pytest.mark.parametrize("time_ns", [0, 1, 999, 1000, 1736499600123456789, -1, -(10**18)])
def test_nanoseconds_are_printed_to_the_microsecond(time_ns: int) -> None:
    assert parse_ns(format_ns(time_ns)) == time_ns - time_ns % 1000


def test_nanoseconds_are_read_exactly() -> None:
    assert parse_ns("2025-01-10T09:00:00.123456789Z") == 1736499600123456789


def test_a_time_outside_the_calendar_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        format_ns(10**21)
    assert caught.value.code == "time_out_of_range"
