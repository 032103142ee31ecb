"""What is refused before anything is opened, closed or kept, as it is the caller's mistake."""

from __future__ import annotations

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
