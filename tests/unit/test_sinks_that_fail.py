"""The user's sinks that raise what cannot be told: the calls go on, and what was missed waits in the outbox."""

from __future__ import annotations

import json

import pytest
from capturing import Capturing

from contexta.capture import PayloadFamily
from contexta_client.capture import notices


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot tell")


class Mute:
    def __init__(self, name: object) -> None:
        self.name = name

    def capture(self, family: PayloadFamily, payload: object) -> None:
        raise MuteError


@pytest.mark.parametrize(("name", "known_as"), [("mute", "mute"), (MuteError(), "Mute")])
def test_an_error_and_a_name_that_cannot_be_told_disturb_no_call(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: object, known_as: str
) -> None:
    monkeypatch.setattr(notices, "_said", set())
    recorder = capturing.recorder(sinks=[Mute(name)])
    with recorder.run("mute") as run:
        assert run.metric("loss", 1.0).ok
    assert capturing.one().values("loss") == [1.0]
    (degraded,) = capturing.one().of("degraded")
    assert degraded.summary == f"the sink {known_as!r} failed and misses what was captured: MuteError"
    assert [each.message for each in caplog.records] == [f"contexta: {degraded.summary}"]
    lines = (recorder.config.workspace.cache_path / "outbox" / f"{known_as}.jsonl").read_text().splitlines()
    assert [json.loads(line)["error"] for line in lines] == ["MuteError"] * 3
