"""What is refused before anything is opened, closed or kept, as it is the caller's mistake."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from capturing import Capturing

from contexta.errors import ValidationError


def test_a_reason_may_be_an_exception_and_what_is_no_reason_leaves_the_scope_open(capturing: Capturing) -> None:
    run = capturing.recorder().run("told")
    stage = run.stage("train")
    with pytest.raises(ValidationError, match="reason"):
        run.close("failed", reason=3)  # type: ignore[arg-type]
    assert (run.status, stage.status) == ("open", "open")
    run.close("failed", reason=ValueError("bad value"))
    closings = capturing.one().of("scope_closed")
    assert [(each.status, each.reason) for each in closings] == [("failed", "ValueError: bad value")] * 2


@pytest.mark.parametrize("field", ["metadata", "config_snapshot", "tags"])
def test_more_than_an_entry_takes_is_refused_when_a_run_is_opened(capturing: Capturing, field: str) -> None:
    recorder = capturing.recorder()
    earlier = recorder.run("large")
    for text in ("x" * (8 << 20), "\u00e9" * (4 << 20)):
        with pytest.raises(ValidationError, match=f"most of it its {field}") as refused:
            recorder.run("large", **{field: {"vocabulary": text}})
        assert refused.value.code == "value_too_large"
    assert recorder.current_run() is earlier
    with pytest.raises(ValidationError):
        earlier.stage("train", metadata={"vocabulary": "x" * (8 << 20)})
    with pytest.raises(ValidationError):
        recorder.deployment("out", metadata={"vocabulary": "x" * (8 << 20)})
    run = recorder.run("large", **{field: {"vocabulary": "x" * (7 << 20)}})
    assert run.metric("loss", 1.0).ok


def test_what_would_leave_the_spool_no_room_for_anything_else_is_refused_too(capturing: Capturing) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20)
    with pytest.raises(ValidationError, match="as an artifact"):
        recorder.run("large", metadata={"vocabulary": "x" * (1 << 18)})
    assert recorder.run("large", metadata={"vocabulary": "x" * (250 << 10)}).metric("loss", 1.0).ok


class Torn:
    """Looks like a number, and cannot tell which."""

    def __index__(self) -> int:
        raise RuntimeError

    __float__ = __int__ = item = __index__


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (np.ma.masked, "masked"),
        (np.ma.array([1.0], mask=[True]), "masked"),
        (np.complex64(1 + 2j), "value.real"),
        (np.clongdouble(1 + 2j), "value.real"),
        (np.array(1 + 2j), "value.real"),
        (np.array("0.5"), "float"),
        (np.array(None, dtype=object), "leave the call out"),
        (np.array({}, dtype=object), "log("),
        (np.timedelta64(5, "ns"), "seconds"),
        (np.datetime64(5, "ns"), "seconds"),
        (np.array([7], dtype="m8[ns]"), "seconds"),
        (Decimal("1e400"), "1.8e308"),
        (Decimal("sNaN"), "float(value)"),
        (Fraction(10**400), "1.8e308"),
        (Torn(), "float(value)"),
    ],
)
def test_what_only_looks_like_a_number_is_none(capturing: Capturing, given: object, advice: str) -> None:
    run = capturing.recorder().run("looks")
    for call in (lambda: run.metric("loss", given), lambda: run.log({"loss": given, "fine": 1.0})):
        with pytest.raises(ValidationError, match="loss") as refused:
            call()
        assert advice in refused.value.message
    with pytest.raises(ValidationError, match="step"):
        run.metric("loss", 1.0, step=given)
    assert not capturing.one().metrics


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.ma.array([1.5], mask=[False]), 1.5),
        (np.array(Decimal("0.5"), dtype=object), 0.5),
        (np.array(np.longdouble(1.5)), 1.5),
        (Decimal("-Infinity"), -np.inf),
        (np.longdouble("inf"), np.inf),
        (np.float32("inf"), np.inf),
    ],
)
def test_numbers_in_unusual_clothes_are_kept(capturing: Capturing, given: object, kept: float) -> None:
    assert capturing.recorder().run("clothes").metric("loss", given).ok
    assert capturing.one().values("loss") == [kept]


def test_integers_that_cannot_be_written_in_decimals_are_refused(capturing: Capturing) -> None:
    run = capturing.recorder().run("wide")
    for number in (2**13_999, -(2**20_000) - 1):
        with pytest.raises(ValidationError, match="bits") as refused:
            run.metric("count", number)
        assert refused.value.code == "metric_value_invalid"
    assert run.metric("count", 2**13_999 - 1).ok
    (wide,) = capturing.one().of("wide_metric")
    assert int(wide.value) == 2**13_999 - 1


@pytest.mark.parametrize(
    "options",
    [
        {"status": "fine"},
        {"span_kind": "disk"},
        {"started_at": "yesterday"},
        {"started_at": "2025-01-10T09:00:01Z", "ended_at": "2025-01-10T09:00:00Z"},
        {"started_at": "0001-01-01T00:00:00Z"},
        {"linked_refs": ["nonsense"]},
        {"linked_refs": "run:a.b"},
        {"attributes": 5},
        {"parent_span_id": 7},
    ],
)
def test_a_wrong_span_is_refused(capturing: Capturing, options: dict) -> None:
    run = capturing.recorder().run("spans")
    with pytest.raises(ValidationError):
        run.span("load", **options)
    assert not capturing.one().of("span")


def test_a_wrong_level_is_refused(capturing: Capturing) -> None:
    with pytest.raises(ValidationError, match="critical"):
        capturing.recorder().run("events").event("e", message="m", level="loud")
