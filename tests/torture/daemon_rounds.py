"""Rounds of the daemon: one is broken during a session, a plain one takes the rest, and everything must be there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import daemon_session as said
import invariant
from breaking import Breaking, Call, Fault
from rig import ROOT, processes

from contexta_client.launch import is_serving, read_endpoint

CONFIG = {
    "records": {"segment_bytes": 4096},
    "daemon": {"autostart": False, "nice": 0},  # else a busy machine makes rounds last
    "artifacts": {"mode": "copy"},
}
ROLE = "contexta_daemon"
START_S = 30.0
END_S = 30.0
UNHANDLED = ("the daemon fails", "never retrieved", "Exception ignored", "Exception in thread", "Unhandled", "Fatal")


class Daemon:
    """`python -m contexta_daemon --foreground`; `opened_s` is how long it took to serve."""

    def __init__(self, workspace: Path, environment: Mapping[str, str] | None = None) -> None:
        self.workspace = workspace
        self.said = workspace.parent / f"said-{time.monotonic_ns()}"
        command = [sys.executable, "-P", "-m", "contexta_daemon", "--workspace", str(workspace), "--foreground"]
        with self.said.open("wb") as file:
            self.process = subprocess.Popen(
                [*command, "--config", json.dumps(CONFIG)],
                env={**(environment or os.environ), "PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=file,
            )
        try:
            self.opened_s = processes.until(lambda: self._serves() or not self.lives(), START_S, "it serves or is dead")
        except BaseException:
            self.kill()
            raise
        self.cpu_s = self._cpu_s()

    def _cpu_s(self) -> float:
        """How long the processors worked for it: what of `opened_s` is not due to others that want to run."""
        try:
            fields = Path("/proc", str(self.process.pid), "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def lives(self) -> bool:
        return self.process.poll() is None

    def _serves(self) -> bool:
        endpoint = read_endpoint(self.workspace)
        return endpoint is not None and endpoint.pid == self.process.pid and is_serving(endpoint)

    def end(self) -> int:
        """Tell it to end; return its exit status. Raises TimeoutError when it does not."""
        if self.lives():
            self.process.terminate()
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"the daemon does not end within {END_S:.0f} s") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def all_said(self) -> str:
        return self.said.read_text(errors="replace")

    def why(self) -> str:
        """What it said last."""
        lines = self.all_said().splitlines()
        return " | ".join(line[:200] for line in lines[-4:])


@contextlib.contextmanager
def daemon(workspace: Path, environment: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """A daemon that is gone at the end, whatever happens."""
    made = Daemon(workspace, environment)
    try:
        yield made
    finally:
        made.kill()


@dataclass
class Round:
    """What became of one round. `calls` are those of the daemon that was to be broken last."""

    broken: list[bool] = field(default_factory=list)  # whether each site was met
    opened_s: float = 0.0
    opened_cpu_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


def play_round(files: Path, faults: Sequence[Fault | None], *, asks: bool = False, must_live: bool = False) -> Round:
    """One daemon after the other, each broken at its site (None: only watched), and a plain one for what is left.

    The first has the whole session; those after it only come up, catch up and end. must_live: a daemon that serves is
    not to end before it is told to. What is not as promised is in `wrong`, and then the folder stays.
    """
    place = Path(tempfile.mkdtemp(prefix="contexta-torture-"))
    made = Round()
    play = said.Play(files, asks=asks)
    try:
        for number, fault in enumerate(faults):
            _broken_life(place, play, fault, made, stop_after=None if number == 0 else 0, must_live=must_live)
        with daemon(place / "ws") as plain:
            made.opened_s, made.opened_cpu_s = plain.opened_s, plain.cpu_s
            play.go_on(place / "ws", lives=plain.lives)
            if plain.end():
                made.wrong.append(f"a plain daemon ends with {plain.process.returncode}: {plain.why()}")
        made.wrong += problems(place / "ws", play, may_say="is not copied, only hashed" if must_live else "")
    except (said.CutOffError, TimeoutError, OSError) as error:
        made.wrong.append(f"{type(error).__name__}: {error}")
    if made.wrong:
        made.wrong.append(f"kept for a look: {place}")
    else:
        processes.remove_workspace(place / "ws")
        shutil.rmtree(place, ignore_errors=True)
    return made


def _broken_life(
    place: Path, play: said.Play, fault: Fault | None, made: Round, *, stop_after: int | None, must_live: bool
) -> None:
    """One daemon, broken or watched, from its start to its end."""
    breaking = Breaking(place, role=ROLE, roots=[place / "ws"])
    site, how = fault or (None, "")
    with daemon(place / "ws", breaking.environment(site, how)) as victim:
        serves = victim.lives()
        cut = ""
        try:
            play.go_on(place / "ws", lives=victim.lives, stop_after=stop_after)
        except said.CutOffError as error:
            cut = str(error)
        if must_live and serves and not victim.lives():
            made.wrong.append(f"it served and ended by itself: {victim.why()}")
        if cut and victim.lives():
            made.wrong.append(f"{cut}: {victim.why()}")
        status = victim.end()
        if must_live and (status not in (0, 1) or any(word in victim.all_said() for word in UNHANDLED)):
            made.wrong.append(f"it ends with {status}: {victim.why()}")
    made.broken.append(breaking.broken > 0)
    made.wrong += breaking.retried()
    made.calls = breaking.calls()


def problems(workspace: Path, play: said.Play, *, may_say: str = "") -> list[str]:
    """Return what is not as promised, once the session is over and the last daemon has ended.

    may_say: what an artifact that is not copied may say about it; empty: all are copied.
    """
    loss = {"loss": (said.STEPS, said.values)}
    found = [*play.wrong, *invariant.problems(workspace, [invariant.Told("run:k.r", loss)])]
    found += _session_whole(workspace, play)
    found += _artifacts_whole(workspace, may_say)
    return found


def _session_whole(workspace: Path, play: said.Play) -> Iterator[str]:
    held = invariant.Held.of(workspace)
    session = held.sessions.get(said.SESSION)
    if session is None or session.next_sequence != sum(count for _, count in play.bodies):
        yield f"{session and session.next_sequence} items in the log"
    stored = Counter(entry.record_stored.ref for each in held.sessions.values() for entry in each.of("record_stored"))
    if stored != Counter(said.PUT_RECORDS):
        yield f"of the records that were put the log has {dict(stored)}"
    models = [entry.model_stored.json for each in held.sessions.values() for entry in each.of("model_stored")]
    if not models or models[-1] != said.project(said.PUTS_AFTER[-1]).json:
        yield f"of the project that was put the log has {models}"
    assert held.log is not None
    state = held.log.sessions.get(said.SESSION)
    if state is None or not state.closed:
        yield "the session is not closed"


def _artifacts_whole(workspace: Path, may_say: str) -> Iterator[str]:
    uri = f"{(workspace / 'metadata' / 'catalog.sqlite3').absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as catalog:
        rows = catalog.execute(
            "SELECT ref, hash_value, problem, detail, location, stored_path, pending FROM artifacts"
        ).fetchall()
    if len(rows) != sum(said.ARTIFACTS_IN.values()):
        yield f"{len(rows)} artifacts in the catalog"
    for ref, hash_value, problem, detail, location, stored_path, pending in rows:
        path = stored_path or location.removeprefix("path:")
        said_so = may_say and may_say in detail
        if problem or pending or not (stored_path or said_so):
            yield f"{ref}: problem {problem!r}, {pending} pending, stored at {stored_path!r}: {detail}"
        elif f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}" != hash_value:
            yield f"{ref}: what is at {path} has another hash"
    lines = (workspace / "cache" / "capture" / "artifact.jsonl").read_bytes().splitlines()
    if len(lines) != sum(said.ARTIFACTS_IN.values()):
        yield f"artifact.jsonl has {len(lines)} lines"
