"""What scopes hold on to."""

from __future__ import annotations

import gc
from contextlib import suppress

from capturing import Capturing

from contexta.errors import ValidationError


def test_what_was_closed_is_let_go_of_at_once_where_garbage_is_never_collected(capturing: Capturing) -> None:
    recorder = capturing.recorder()

    def live(name: str) -> None:
        with recorder.run(name) as run, run.stage("train") as stage, stage.batch("b") as batch:
            for step in range(3):
                batch.metric("loss", 0.5, step=step)
                batch.metric("count", 3)
                batch.log({"a": 1.0, "b": 2.0}, step=step)
            with suppress(ValidationError):
                batch.log({"a": 1.0, "b": 2.0}, step=0.5)  # type: ignore[arg-type]
            with batch.sample("s") as sample:
                sample.event("seen", message="x")

    live("imports are done")
    gc.collect()
    gc.disable()
    try:
        live("trained")
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found = [repr(each) for each in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert [each for each in found if "contexta" in each] == []
