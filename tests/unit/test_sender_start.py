"""How a training process starts the sender: once, apart from itself, and with growing patience."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from time import monotonic_ns

import pytest
from capturing import Capturing
from waiting import wait_until

from contexta.errors import DeadlineError
from contexta_client.capture import notices, sender_start, spool_place
from contexta_client.capture.sender_start import SenderStart, sender_environment


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(spool_place.BASE_VARIABLE, str(tmp_path / "spools"))
    monkeypatch.setattr(notices, "_said", set())
    return tmp_path / "workspace"


def fake_python(tmp_path: Path) -> Path:
    """A stand-in for Python that notes how it was started."""
    program = tmp_path / "fake-python"
    program.write_text(
        textwrap.dedent(f"""\
            #!{sys.executable}
            import json, os, sys
            told = {{"arguments": sys.argv[1:], "session": os.getsid(0) == os.getpid(),
                     "path": os.environ.get("PYTHONPATH"), "stdin": os.readlink("/proc/self/fd/0")}}
            with open({str(tmp_path / "told")!r} + ".new", "w") as file:
                json.dump(told, file)
            os.rename({str(tmp_path / "told")!r} + ".new", {str(tmp_path / "told")!r})
            """)
    )
    program.chmod(0o755)
    return program


def test_the_sender_is_started_in_a_session_of_its_own_and_reaped(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTA_PYTHON", str(fake_python(tmp_path)))
    starter = SenderStart(workspace, autostart=True)
    assert starter.ensure(0)
    wait_until((tmp_path / "told").exists)
    told = json.loads((tmp_path / "told").read_text())
    assert told["arguments"] == ["-P", "-m", "contexta_client.sender", "--workspace", str(workspace)]
    assert told["session"] is True
    assert told["stdin"] == os.devnull
    assert str(Path(sender_start.__file__).parents[2]) in told["path"].split(os.pathsep)

    def reaped() -> bool:
        starter.reap()
        return not starter._started

    wait_until(reaped)


def test_starts_follow_each_other_with_growing_distance(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[float] = []
    clock = [0.0]
    monkeypatch.setattr(sender_start, "monotonic", lambda: clock[0])
    starter = SenderStart(workspace, autostart=True)
    monkeypatch.setattr(starter, "start", lambda: bool(starts.append(clock[0])) or True)
    while clock[0] < 120:
        assert starter.ensure(0)
        clock[0] += 0.5
    distances = [later - earlier for earlier, later in pairwise(starts)]
    assert distances[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(distances) <= 30.0


def test_no_sender_is_started_beside_a_living_one(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter = SenderStart(workspace, autostart=True)
    monkeypatch.setattr(starter, "start", lambda: pytest.fail("started"))
    assert starter.ensure(monotonic_ns())
    root = spool_place.choose_root(workspace, 1)
    os.mkfifo(root / spool_place.WAKE_NAME, 0o600)
    assert not starter.wake()  # a pipe that nobody reads
    reader = os.open(root / spool_place.WAKE_NAME, os.O_RDWR | os.O_NONBLOCK)
    try:
        assert starter.ensure(0)
        assert os.read(reader, 10) == b"\0"
        while starter.wake() and len(os.read(reader, 1)) == 0:
            pass
        os.set_blocking(reader, False)
        for _ in range(70_000):  # a sender that does not read: the pipe is full, and the call still returns
            assert starter.wake()
    finally:
        os.close(reader)


def test_without_autostart_nothing_is_started(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter = SenderStart(workspace, autostart=False)
    monkeypatch.setattr(starter, "start", lambda: pytest.fail("started"))
    assert starter.ensure(0) is False


def test_a_python_that_cannot_be_started_is_said_once(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CONTEXTA_PYTHON", "/absent/python")
    starter = SenderStart(workspace, autostart=True)
    assert not starter.start()
    assert not starter.start()
    assert len(caplog.records) == 1
    assert "/absent/python" in caplog.text
    monkeypatch.delenv("CONTEXTA_PYTHON")
    monkeypatch.setattr(sys, "executable", "")
    assert not starter.start()
    assert "CONTEXTA_PYTHON" in caplog.text


def test_the_package_is_importable_for_the_sender_and_nothing_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    home = str(Path(sender_start.__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", "/a:/b")
    monkeypatch.setenv("OTHER", "kept")
    environment = sender_environment()
    assert environment["PYTHONPATH"] == f"{home}:/a:/b"
    assert environment["OTHER"] == "kept"
    monkeypatch.setenv("PYTHONPATH", f"/a:{home}")
    assert sender_environment()["PYTHONPATH"] == f"/a:{home}"


def failing_python(tmp_path: Path, *lines: str, status: int = 0, detached: bool = True) -> Path:
    """A stand-in for Python whose sender says something and ends, in a process of its own like the real one."""
    program = tmp_path / "failing-python"
    fork = "os.fork() and os._exit(0)" if detached else ""
    says = f"os.write(2, {os.linesep.join(lines).encode()!r})"
    program.write_text(f"#!{sys.executable}\nimport os, sys\n{fork}\n{says}\nos._exit({status})\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("lines", "status", "detached", "why"),
    [
        (["a warning", "contexta-sender: the disk is gone", "  more of it"], 1, True, "(the disk is gone)"),
        (["Traceback", "No module named contexta_client"], 1, False, "(No module named contexta_client)"),
        ([], 3, False, "(its exit status is 3)"),
    ],
)
def test_a_sender_that_cannot_live_is_told_of_once_and_with_its_reason(
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lines: list[str],
    status: int,
    detached: bool,
    why: str,
) -> None:
    monkeypatch.setenv("CONTEXTA_PYTHON", str(failing_python(tmp_path, *lines, status=status, detached=detached)))
    starter = SenderStart(workspace, autostart=True)
    wait_until(lambda: starter.ensure(0) and starter.is_missing())
    assert starter.ensure(0)
    (said,) = caplog.messages
    assert why in said and said.endswith(f"-P -m contexta_client.sender --workspace {workspace} --foreground")
    assert starter._started == []
    starter.ensure(monotonic_ns())  # one came up after all
    assert not starter.is_missing()


def test_a_sender_that_finds_another_and_one_that_only_warns_are_not_missing(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CONTEXTA_PYTHON", str(failing_python(tmp_path, "DeprecationWarning: x")))
    clock = [0.0]
    monkeypatch.setattr(sender_start, "monotonic", lambda: clock[0])
    starter = SenderStart(workspace, autostart=True)
    wait_until(lambda: starter.ensure(0) and not starter._started)
    assert not starter.is_missing()
    clock[0] = sender_start.SILENT_S + 1  # but it never showed itself
    starter.ensure(0)
    assert starter.is_missing()
    assert "no sender comes up; records wait" in caplog.text


def test_ends_are_bounded_and_flushing_is_not_for_ever_where_no_sender_comes_up(
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capturing: Capturing,
) -> None:
    monkeypatch.setenv("CONTEXTA_PYTHON", str(failing_python(tmp_path, "contexta-sender: it is broken")))
    recorder = capturing.recorder(exit_timeout_s=60.0)
    recorder.sender.autostart = True
    with recorder.run("r") as run:
        run.metric("x", 1.0)
    assert "no sender comes up (it is broken)" in caplog.text
    with pytest.raises(DeadlineError, match="no sender answers"):
        recorder.flush()


def test_a_relative_folder_for_spools_is_the_same_one_for_the_sender_and_after_a_change_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"spools-of-{tmp_path.name}"
    monkeypatch.setenv(spool_place.BASE_VARIABLE, name)
    monkeypatch.chdir(tmp_path)
    root = spool_place.choose_root(tmp_path / "ws", 1)
    assert root.is_relative_to(tmp_path / name)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    assert spool_place.candidate_roots(tmp_path / "ws") == [root]
    assert sender_environment()[spool_place.BASE_VARIABLE] == str(tmp_path / name)


def test_a_sender_that_cannot_come_up_says_why_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "spools").write_text("a file where the folder should be")
    command = [sys.executable, "-P", "-m", "contexta_client.sender", "--workspace", str(tmp_path / "ws")]
    environment = sender_environment() | {"CONTEXTA_SPOOL_DIR": str(tmp_path / "spools")}
    ended = subprocess.run(
        [*command, "--foreground"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("contexta-sender: ") and ended.stderr.count("\n") == 1
