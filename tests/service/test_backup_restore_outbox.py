"""What a user's sink did not take waits in the outbox, and is sent again when asked."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from capturing import Capturing
from capturing import capturing as capturing

from contexta.capture import MemorySink, PayloadFamily
from contexta.config import UnifiedConfig, make_test_config
from contexta.contract import ArtifactManifest, MetricRecord, Run
from contexta.errors import ConflictError, NotFoundError, ValidationError
from contexta.recovery import replay_outbox
from contexta_client.recovery import outbox
from contexta_client.recovery import replay as replaying


class Failing(MemorySink):
    """Takes nothing until it is well; what is poisoned it never takes."""

    def __init__(self, name: str = "warehouse", *, well: bool = False, poison: str = "\0") -> None:
        super().__init__(name)
        self.well, self.poison, self.tried = well, poison, 0

    def capture(self, family: PayloadFamily, payload: Any) -> None:
        self.tried += 1
        if not self.well or self.poison in str(payload):
            raise ConnectionError("the warehouse is away")
        super().capture(family, payload)


@pytest.fixture
def config(tmp_path: Path) -> UnifiedConfig:
    return make_test_config(tmp_path / "workspace")


def folder_of(config: UnifiedConfig) -> Path:
    return config.workspace.cache_path / "outbox"


def keep(config: UnifiedConfig, *numbers: int, sink: str = "warehouse") -> None:
    for number in numbers:
        payload = {"number": number}
        assert outbox.keep(str(folder_of(config)), sink, PayloadFamily.RECORD, payload, OSError("away"))


def numbers(sink: MemorySink) -> list[int]:
    return [payload["number"] for payload in sink.payloads()]


def test_a_full_disk_leaves_no_half_of_a_line(config: UnifiedConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(config, 1)
    (path,) = folder_of(config).glob("*.jsonl")
    before = path.read_bytes()
    write = os.write
    rooms = iter([7])  # bytes that there still is room for

    def full(file: int, data: bytes) -> int:
        if (room := next(rooms, 0)) == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, bytes(data)[:room])

    with monkeypatch.context() as patched:
        patched.setattr(outbox.os, "write", full)
        assert not outbox.keep(str(folder_of(config)), "warehouse", PayloadFamily.RECORD, {"number": 2}, OSError("x"))
    assert path.read_bytes() == before
    keep(config, 3)
    assert [json.loads(line)["payload"]["number"] for line in path.read_text().splitlines()] == [1, 3]


def test_what_a_failing_sink_missed_in_a_run_is_sent_again_as_it_was(
    capturing: Capturing, config: UnifiedConfig, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    failing, good = Failing(), MemorySink("good")
    recorder = capturing.recorder(sinks=[failing, good])
    with recorder.run("fit") as run:
        run.metric("loss", float("nan"), step=3)
        run.event("note", message="hello\u2028", attributes={"deep": [1, {"a": None}]})
        run.register_artifact("model", tmp_path / "model.bin")
    assert len(good.items) == failing.tried == 5

    again = Failing(well=True)
    result = replay_outbox(config, sinks=[again])
    assert (result.replayed, result.failed, result.remaining) == (5, 0, 0)
    assert [family for family, _ in again.items] == [family for family, _ in good.items]
    first, metric, event, artifact, last = again.payloads()
    assert isinstance(first, Run) and isinstance(last, Run) and isinstance(metric, MetricRecord)
    assert [metric, event, last] == [good.payloads()[each] for each in (1, 2, 4)]
    assert isinstance(artifact["manifest"], ArtifactManifest)
    assert artifact == good.payloads()[3]
    assert replay_outbox(config, sinks=[again]).replayed == 0
    assert list(folder_of(config).glob("*.jsonl")) == []


def test_entries_are_sent_in_order_and_those_that_fail_stay(config: UnifiedConfig) -> None:
    keep(config, 1, 2, 3, 4)
    sink = Failing(well=True, poison="2")
    result = replay_outbox(config, sinks=[sink])
    assert (result.replayed, result.failed, result.remaining) == (3, 1, 1)
    assert numbers(sink) == [1, 3, 4]
    (line,) = (folder_of(config) / "warehouse.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["payload"], entry["failures"]) == ({"number": 2}, 2)
    assert "the warehouse is away" in entry["error"]


def test_an_entry_that_fails_too_often_becomes_a_dead_letter(config: UnifiedConfig) -> None:
    keep(config, 1, 2)
    sink = Failing(well=True, poison="2")
    assert replay_outbox(config, sinks=[sink], dead_letter_after_failures=3).dead_lettered == 0
    result = replay_outbox(config, sinks=[sink], dead_letter_after_failures=3)
    assert (result.failed, result.dead_lettered, result.remaining) == (1, 1, 0)
    (line,) = (folder_of(config) / "dead-letter.jsonl").read_text().splitlines()
    assert json.loads(line)["payload"] == {"number": 2}


def test_dead_letters_have_a_bound_and_what_has_no_room_stays(
    config: UnifiedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "DEAD_LETTER_BYTES", 10)
    keep(config, 1)
    result = replay_outbox(config, sinks=[Failing()], dead_letter_after_failures=1)
    assert (result.dead_lettered, result.remaining) == (0, 1)


def test_a_limit_a_target_and_no_acknowledgement_are_obeyed(config: UnifiedConfig) -> None:
    keep(config, 1, 2, 3)
    keep(config, 4, sink="other")
    sink, other = Failing(well=True), Failing("other", well=True)
    result = replay_outbox(config, sinks=[sink, other], limit=2, acknowledge_successes=False)
    assert (result.replayed, result.remaining) == (2, 4)
    result = replay_outbox(config, sinks=[sink, other], target="warehouse", limit=2)
    assert (result.replayed, result.remaining, result.without_sink) == (2, 2, {"other": 1})
    assert replay_outbox(config).without_sink == {"other": 1, "warehouse": 1}
    assert replay_outbox(config, sinks=[sink, other]).remaining == 0
    assert sorted(numbers(other) + numbers(sink)) == [1, 1, 2, 3, 4, 4]


def test_what_is_kept_while_a_replay_runs_is_not_lost(config: UnifiedConfig) -> None:
    class Capturing(MemorySink):
        def capture(self, family: PayloadFamily, payload: Any) -> None:
            super().capture(family, payload)
            keep(config, payload["number"] + 100)

    keep(config, 1, 2)
    assert replay_outbox(config, sinks=[Capturing("warehouse")]).replayed == 2
    sink = Failing(well=True)
    replay_outbox(config, sinks=[sink])
    assert numbers(sink) == [101, 102]


def test_an_interrupted_replay_sends_nothing_twice(config: UnifiedConfig) -> None:
    class Interrupted(MemorySink):
        def capture(self, family: PayloadFamily, payload: Any) -> None:
            if payload["number"] == 2:
                raise KeyboardInterrupt
            super().capture(family, payload)

    keep(config, 1, 2, 3)
    with pytest.raises(KeyboardInterrupt):
        replay_outbox(config, sinks=[Interrupted("warehouse")])
    sink = Failing(well=True)
    replay_outbox(config, sinks=[sink])
    assert numbers(sink) == [2, 3]


def test_torn_and_foreign_lines_become_dead_letters_and_whole_ones_are_sent(config: UnifiedConfig) -> None:
    keep(config, 1)
    path = folder_of(config) / "warehouse.jsonl"
    with path.open("ab") as file:
        file.write(b'[1]\n{"version": 9}\n\xff\n{"version": 1, "sink"')  # the last one: its process died within it
    keep(config, 2)
    sink = Failing(well=True)
    result = replay_outbox(config, sinks=[sink])
    assert (result.replayed, result.dead_lettered, result.remaining) == (2, 4, 0)
    assert numbers(sink) == [1, 2]


def test_a_full_outbox_counts_what_it_loses(config: UnifiedConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_BYTES", 600)
    kept = [
        outbox.keep(str(folder_of(config)), "warehouse", PayloadFamily.RECORD, {"number": n}, OSError("away"))
        for n in range(20)
    ]
    assert kept.count(True) == 2
    assert (folder_of(config) / "warehouse.jsonl").stat().st_size <= 600
    result = replay_outbox(config)
    assert (result.remaining, result.overflowed) == (2, {"warehouse": 18})


def test_a_capture_call_never_fails_nor_waits_for_an_outbox_that_is_locked_or_cannot_be_made(
    capturing: Capturing, config: UnifiedConfig
) -> None:
    folder = folder_of(config)
    keep(config, 1)
    with (folder / "warehouse.jsonl").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not outbox.keep(str(folder), "warehouse", PayloadFamily.RECORD, {}, OSError())
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    with capturing.recorder(sinks=[Failing()]).run("fit") as run:
        run.metric("loss", 1.0)
    assert not outbox.keep(str(folder), "warehouse", PayloadFamily.RECORD, {}, OSError())


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "dead-letter", "a/b", "x" * 500, "é\ud800", "\0", ".", "-"])
def test_a_sink_of_any_name_has_a_file_of_its_own_in_the_outbox(config: UnifiedConfig, name: str) -> None:
    keep(config, 1, sink=name)
    keep(config, 2, sink="etc-passwd")
    assert len(list(folder_of(config).glob("*.jsonl"))) == 2
    assert not (folder_of(config) / "dead-letter.jsonl").exists()
    if "\ud800" in name:  # no JSON can hold it
        return
    sink = Failing(name, well=True)
    assert replay_outbox(config, sinks=[sink]).replayed == 1
    assert numbers(sink) == [1]


def test_many_processes_keep_and_one_replays_at_once_and_nothing_is_lost(config: UnifiedConfig) -> None:
    script = (
        "import sys\n"
        "from contexta.capture import PayloadFamily\n"
        "from contexta_client.recovery import outbox\n"
        "sys.stdin.readline()\n"
        "for n in range(200):\n"
        "    while not outbox.keep(sys.argv[1], 'warehouse', PayloadFamily.RECORD, {'number': int(sys.argv[2]) + n},\n"
        "                          OSError('away')):\n"
        "        pass\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(folder_of(config)), str(start)], stdin=subprocess.PIPE, text=True
        )
        for start in (0, 1000, 2000)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.close()
    sink = Failing(well=True)
    while any(process.poll() is None for process in processes):
        replay_outbox(config, sinks=[sink])
    assert [process.returncode for process in processes] == [0, 0, 0]
    replay_outbox(config, sinks=[sink])
    assert sorted(numbers(sink)) == [start + n for start in (0, 1000, 2000) for n in range(200)]


def test_two_replays_at_once_and_wrong_arguments_are_refused(config: UnifiedConfig) -> None:
    keep(config, 1)
    with (folder_of(config) / "replay.lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConflictError):
            replay_outbox(config)
    with pytest.raises(ValidationError):
        replay_outbox(config, limit=-1)
    with pytest.raises(ValidationError):
        replay_outbox(config, dead_letter_after_failures=0)
    with pytest.raises(ValidationError, match="Two sinks"):
        replay_outbox(config, sinks=[MemorySink("a"), MemorySink("a")])
    with pytest.raises(NotFoundError, match="warehouse"):
        replay_outbox(config, target="warehous", sinks=[MemorySink("warehouse")])


def test_an_empty_outbox_is_asked_without_making_anything(config: UnifiedConfig) -> None:
    assert replay_outbox(config, sinks=[MemorySink("a")]).remaining == 0
    assert not os.path.lexists(config.workspace.root_path)
