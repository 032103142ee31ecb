"""Rounds of trainer and sender: one of them is broken, a plain sender delivers what is left, and all must be there.

Several rounds share a workspace and its daemon, which is not broken here; each has a run and a spool folder of its own.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import invariant
import numpy as np
from breaking import Breaking, Call, Fault
from daemon_rounds import Daemon
from daemon_rounds import daemon as plain_daemon
from rig import ROOT, Shared, processes

from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place

WIDTH = 3
SENDER, TRAINER = "contexta_client.sender", "trainer-of-the-torture"
SPOOL_BYTES, SMALL_SPOOL_BYTES = 2 << 20, 1 << 20  # the small one is soon half full
DELIVERED_S = 30.0

# Two phases: enough for a second block of each kind, and a sender that is at work meanwhile.
PROGRAM = """
import sys
from pathlib import Path
from contexta import Contexta
from rig import Shared
from sender_rounds import WIDTH, row, value

workspace, name, spool_bytes = sys.argv[1], sys.argv[3], int(sys.argv[4])
done = Shared(Path(sys.argv[2]))
capture = {"spool_bytes": spool_bytes, "exit_timeout_s": 0.5, "environment": False}
daemon = {"autostart": False, "nice": 0}
ctx = Contexta(workspace=workspace, config={"project_name": "k", "capture": capture, "daemon": daemon})
run = ctx.run(name)
done[4] = 1

def phase(metrics, rows, events):
    for _ in range(metrics):
        done[5] += not run.metric("loss", value(done[1]), step=done[1])
        done[1] += 1
    for _ in range(rows):
        result = run.log(row(done[2]), step=done[2])
        done[5] += result.dropped
        done[2] += 1
    for _ in range(events):
        done[6] += not run.event("note", message=str(done[3]), attributes={"text": "x" * 2000})
        done[3] += 1

phase(3000, 40, 10)
print("ready", flush=True)
sys.stdin.readline()
phase(3000, 40, 40)
ctx.close()
"""


def value(step: int) -> float:
    """Return a double that no other step has, over many exponents."""
    return math.ldexp(1.0 + step / (1 << 40), step % 600 - 300)


def row(step: int) -> dict[str, float]:
    return {f"g{place}": value(step * WIDTH + place) for place in range(WIDTH)}


def told(name: str, done: Shared, *, cut_off: bool) -> invariant.Told:
    """What the calls of a run said, from what they left in shared memory."""

    def values(factor: int, place: int) -> invariant.Values:
        return lambda steps: np.array([value(int(step) * factor + place) for step in steps], np.float64)

    series = {"loss": (done[1], values(1, 0))}
    series |= {f"g{place}": (done[2], values(WIDTH, place)) for place in range(WIDTH)}
    return invariant.Told(f"run:k.{name}", series, events=done[3], in_flight=int(cut_off), refused=done[5] + done[6])


@dataclass
class Round:
    """One run of a group of rounds."""

    name: str
    broken: bool = False
    wrong: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    told: invariant.Told | None = None


class Group:
    """Rounds in one workspace. `role`: whom the faults of the rounds break, SENDER or TRAINER."""

    def __init__(self, role: str, *, must_live: bool = False, away: bool = False) -> None:
        """must_live: nobody is to end before it is told to. away: the daemon comes only when the sender has moved
        blocks to disk, or is dead."""
        self.role = role
        self.must_live = must_live
        self.away = away
        self.place = Path(tempfile.mkdtemp(prefix="contexta-torture-"))
        self.workspace = self.place / "ws"
        self.rounds: list[Round] = []

    def play(self, faults: Sequence[Fault | None]) -> list[Round]:
        """Play a round for each fault (None: only watched); return them, with what is not as promised."""
        try:
            with ExitStack() as stack:
                daemons = [] if self.away else [stack.enter_context(plain_daemon(self.workspace))]
                for number, fault in enumerate(faults):
                    self.rounds.append(Round(f"r{number}"))
                    round_ = _OneRound(self, self.rounds[-1], fault)
                    round_.play(lambda: daemons or daemons.append(stack.enter_context(plain_daemon(self.workspace))))
                self._end(daemons[0])
            problems = invariant.problems(self.workspace, [each.told for each in self.rounds if each.told])
            for problem in problems:
                of_run = [each for each in self.rounds if problem.startswith(f"run:k.{each.name}:")]
                for each in of_run or self.rounds[-1:]:
                    each.wrong.append(problem)
        except (TimeoutError, OSError) as error:
            self.rounds[-1].wrong.append(f"{type(error).__name__}: {error}")
        self._clean_up()
        return self.rounds

    def _end(self, daemon: Daemon) -> None:
        if daemon.end():
            self.rounds[-1].wrong.append(f"the daemon ends with {daemon.process.returncode}: {daemon.why()}")

    def _clean_up(self) -> None:
        if any(each.wrong for each in self.rounds):
            for each in self.rounds:
                each.wrong += [f"kept for a look: {self.place}"] if each.wrong else []
        else:
            processes.remove_workspace(self.workspace)
            shutil.rmtree(self.place, ignore_errors=True)


class _OneRound:
    def __init__(self, group: Group, made: Round, fault: Fault | None) -> None:
        self._group = group
        self._made = made
        self._fault = fault
        self._place = group.place / made.name
        self._place.mkdir()
        self._base = self._place / "spool"
        self._done = Shared(self._place / "done")
        self._breaking = Breaking(self._place, role=group.role, roots=[group.workspace, self._base])

    def play(self, serve: Callable[[], object]) -> None:
        """serve: starts the daemon where there is none yet."""
        with self._said("trainer").open("wb") as said:
            trainer = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(self._group.workspace), str(self._place / "done"),
                 self._made.name, str(SMALL_SPOOL_BYTES if self._group.away else SPOOL_BYTES), TRAINER],
                env=self._environment(TRAINER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, bufsize=0,
            )  # fmt: skip
        sender: subprocess.Popen[bytes] | None = None
        try:
            assert trainer.stdin is not None and trainer.stdout is not None
            trainer.stdout.readline()  # it is ready, or gone
            if self._group.away:
                self._let_go_on(trainer)
                trainer.wait(DELIVERED_S)
            sender = self._start_sender(self._environment(SENDER))
            word = fmt.RELEASED_BYTES if self._group.away else fmt.DURABLE_ITEMS
            processes.until(
                lambda: sender.poll() is not None or self._says(word) or (not self._group.away and self._gone(trainer)),
                DELIVERED_S,
                "the sender is at work",
            )
            serve()
            if not self._group.away:
                self._let_go_on(trainer)
            self._judge_trainer(trainer.wait(DELIVERED_S))
            sender = self._deliver(sender)
        finally:
            for process in (trainer, sender):
                if process is not None:
                    process.kill()
                    process.wait()
                    for pipe in (process.stdin, process.stdout):
                        if pipe is not None:
                            pipe.close()
        self._made.broken = self._breaking.broken > 0
        self._made.calls = self._breaking.calls()
        self._made.wrong += self._breaking.retried()

    def _let_go_on(self, trainer: subprocess.Popen[bytes]) -> None:
        assert trainer.stdin is not None
        try:
            trainer.stdin.write(b"\n")
        except BrokenPipeError:  # killed
            pass

    def _judge_trainer(self, status: int) -> None:
        killed = status < 0 and self._group.role == TRAINER and not self._group.must_live
        text = self._said("trainer").read_text(errors="replace")
        if (status and not killed) or "Traceback" in text:
            self._made.wrong.append(f"the trainer ends with {status}: {text[-600:]}")
        self._made.told = told(self._made.name, self._done, cut_off=killed)

    def _deliver(self, sender: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Wait until nothing waits any more; a plain sender does it where the first one is dead."""
        processes.until(lambda: sender.poll() is not None or not self._waiting(), DELIVERED_S, "it is delivered")
        if sender.poll() is not None and self._waiting():
            if self._group.must_live and not self._may_end(sender.returncode):
                self._made.wrong.append(f"the sender ends by itself with {sender.returncode}: {self._why_sender()}")
            sender = self._start_sender(self._plain())
            processes.until(lambda: not self._waiting(), DELIVERED_S, "a plain sender delivers the rest")
        sender.terminate()
        status = sender.wait(DELIVERED_S)
        killed = self._group.role == SENDER and not self._group.must_live
        may_end = self._group.must_live and self._may_end(status)
        if (
            status not in (0, -signal.SIGTERM) and not may_end and not (killed and status == -signal.SIGKILL)
        ):  # SIGTERM: just begun
            self._made.wrong.append(f"the sender ends with {status}: {self._why_sender()}")
        return sender

    def _may_end(self, status: int) -> bool:
        """Whether a sender may end so by itself: it had nothing to do yet, or could not come up, and says why."""
        if self._group.role != SENDER:
            return status == 0
        return status == 1 and self._why_sender().startswith("contexta-sender: ")

    def _start_sender(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", SENDER, "--workspace", str(self._group.workspace), "--foreground"]
        with self._said("sender").open("ab") as said:
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said)

    def _plain(self) -> dict[str, str]:
        places = [ROOT, ROOT / "tests", ROOT / "tests" / "torture"]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places)),
                spool_place.BASE_VARIABLE: str(self._base)}  # fmt: skip

    def _environment(self, role: str) -> dict[str, str]:
        if role != self._group.role:
            return self._plain()
        site, how = self._fault or (None, "")
        return self._breaking.environment(site, how) | self._plain()

    def _said(self, who: str) -> Path:
        return self._place / f"{who}-said"

    def _why_sender(self) -> str:
        return self._said("sender").read_text(errors="replace")[-600:]

    def _spools(self) -> list[Path]:
        found = [path for path in self._base.glob("*/*/*") if len(path.name) == 32]
        return found + list((self._group.workspace / "cache" / "spill").glob("*"))

    def _waiting(self) -> list[Path]:
        """Spools that a sender has to deliver; one without a header was never begun."""
        return [path for path in self._spools() if (path / fmt.HEADER_NAME).exists() or "spill" in path.parts]

    def _says(self, word: int) -> bool:
        """Whether a word of a spool's header is set: the sender has delivered something, or moved it to disk."""
        for path in self._spools():
            try:
                words = np.frombuffer((path / fmt.HEADER_NAME).read_bytes()[: fmt.HEADER_BYTES], "<u8")
            except OSError:
                continue
            if len(words) == fmt.WORDS and words[word] > 0:
                return True
        return False

    def _gone(self, trainer: subprocess.Popen[bytes]) -> bool:
        return trainer.poll() is not None
