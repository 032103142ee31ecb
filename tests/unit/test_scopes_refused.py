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
