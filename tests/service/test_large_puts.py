"""Puts of any number and size: they go in calls that the daemon takes."""

from __future__ import annotations

from typing import Any

import pytest
from served import Served

from contexta.contract import Project
from contexta.errors import RejectedError


def event(number: int, size: int) -> dict[str, Any]:
    return {
        "envelope": {
            "record_ref": f"record:p.a.event-{number}",
            "record_type": "event",
            "recorded_at": "2026-01-01T00:00:01Z",
            "observed_at": "2026-01-01T00:00:00Z",
            "producer_ref": "me",
            "run_ref": "run:p.a",
        },
        "payload": {"event_key": "e", "level": "info", "message": "m" * size},
    }


@pytest.mark.parametrize(("count", "size"), [(2_500, 10), (2_000, 5_000), (4, 3 << 20), (4, 4_000_000)])
def test_records_of_any_number_and_size_are_put_in_calls_that_fit(served: Served, count: int, size: int) -> None:
    records = served.contexta().record_store
    receipts = records.append_many(event(number, size) for number in range(count))
    assert [each.record_ref for each in receipts] == [f"record:p.a.event-{number}" for number in range(count)]
    assert sum(1 for _ in records.scan(record_type="event")) == count


def test_models_of_any_size_are_put_in_calls_that_fit(served: Served) -> None:
    store = served.contexta().metadata_store.projects
    made = [
        Project(
            project_ref=f"project:p{number}", name=f"p{number}", created_at="2026-01-01T00:00:00Z",
            description="d" * 2_000_000,
        )
        for number in range(10)
    ]  # fmt: skip
    assert [each.ref for each in store.put_many(made)] == [each.ref for each in made]
    assert store.list_projects() == made


@pytest.mark.parametrize("size", [5 << 20, 20 << 20])
def test_one_that_is_too_large_is_refused_by_its_name_and_what_came_in_earlier_calls_stays(
    served: Served, size: int
) -> None:
    records = served.contexta().record_store
    with pytest.raises(RejectedError, match=r"^record:p\.a\.event-1 has [\d,]+ bytes") as caught:
        records.append_many([event(0, 10), event(1, size)])
    assert caught.value.code == "item_too_large" and caught.value.details["ref"] == "record:p.a.event-1"
    assert list(records.scan(record_type="event")) == []
    with pytest.raises(RejectedError):
        records.append_many([*(event(number, 10) for number in range(2, 2_010)), event(1, size)])
    assert sum(1 for _ in records.scan(record_type="event")) == 2_000
