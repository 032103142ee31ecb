"""Seeded bugs: the list of them, and whether the tests find one that was put into a copy of the tree.

Each of tests/mutants/*.toml lists mutants of one part of the product: a piece of text of a file that is there exactly
once, what a tired engineer might have written instead, and the tests that must fail then. The tree itself is never
changed: a mutant lives in a temporary copy, whose tests import the copy.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTS = Path("tests", "mutants")
STALENESS_TEST = "tests/unit/test_mutants_apply.py"  # fails for every mutant, so it would catch them all
CAUGHT, SURVIVED, STALE, BROKEN, HANGS, UNSOUND = "caught", "SURVIVED", "STALE", "BROKEN", "HANGS", "UNSOUND"
TRIES = 2  # of a test without the mutant, on a machine that may be busy
SHORT_TIMEOUT_S = 180.0
WHOLE_TIMEOUT_S = 3600.0
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv*", ".envs", "__pycache__", ".*_cache", ".hypothesis", "build", "dist", "demo-out", "node_modules"
)
_MARK = "MUTANT_IN"  # names the copy in the environment of every process that its tests start
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)


class StaleMutantError(Exception):
    """The text to be replaced is not there exactly once, or what would come of it is no Python."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One seeded bug. kind: what sort of mistake it is. tests: which must fail, as pytest names them. slow: because
    these hang until their own timeout, it is in no sample."""

    name: str
    kind: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    slow: bool = False

    def applied(self, text: str) -> str:
        """Return the file's text with the bug in it. Raises StaleMutantError."""
        if (count := text.count(self.old)) != 1:
            raise StaleMutantError(f"{self.name}: its text stands {count} times in {self.file}, not once")
        mutated = text.replace(self.old, self.new)
        if mutated == text:
            raise StaleMutantError(f"{self.name} changes nothing")
        try:
            compile(mutated, self.file, "exec")
        except SyntaxError as error:
            raise StaleMutantError(f"{self.name} is no Python: {error}") from error
        return mutated


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a mutant. by: the test that caught it, or what was wrong with the trial itself."""

    mutant: Mutant
    outcome: str
    by: str
    taken_s: float
    drifted: bool = False  # caught by the whole suite, and not by the tests that are named for it


def all_mutants(root: Path = ROOT) -> list[Mutant]:
    """Return every mutant, by part and in the order of its list. Raises StaleMutantError for two of one name."""
    found: dict[str, Mutant] = {}
    for path in sorted((root / LISTS).glob("*.toml")):
        for each in tomllib.loads(path.read_text())["mutant"]:
            mutant = Mutant(**{**each, "tests": tuple(each["tests"])})
            if mutant.name in found:
                raise StaleMutantError(f"two mutants are called {mutant.name}")
            found[mutant.name] = mutant
    return list(found.values())


class Tree:
    """A copy of the tree in which one mutant at a time is tried. Remove it with `remove`."""

    def __init__(self, root: Path = ROOT) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mutant-"))  # short: sockets lie in it
        self.path = self.folder / "tree"
        shutil.copytree(root, self.path, ignore=_NOT_COPIED, symlinks=True)
        (self.path / STALENESS_TEST).unlink(missing_ok=True)
        subprocess.run([sys.executable, "-m", "compileall", "-q", "."], cwd=self.path, check=False)
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(("CONTEXTA_", "PYTEST_"))}
        self._environment |= {"PYTHONPATH": str(self.path), "PYTHONDONTWRITEBYTECODE": "1", _MARK: str(self.folder)}
        self._removed = False
        self._check_imports()

    def _check_imports(self) -> None:
        code = "import contexta, contexta_client, contexta_daemon as d; print(contexta.__path__, d.__path__)"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd="/", env=self._environment, capture_output=True, text=True, check=True)
        if any(str(self.path) not in word for word in done.stdout.split()):
            raise RuntimeError(f"the copy's tests would not test the copy, but {done.stdout}")

    def remove(self) -> None:
        """Delete the copy, and end what its tests may have left running, or still run: in it none is begun again."""
        self._removed = True
        self._clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def trial(self, mutant: Mutant, *, whole: bool = False) -> Verdict:
        """Put the mutant in, run its tests, and the whole suite too if they pass and it is asked for; take it out.

        It is caught when a test fails with it and passes without it.
        """
        began = time.monotonic()
        path = self.path / mutant.file
        text = path.read_text()
        try:
            mutated = mutant.applied(text)
        except StaleMutantError as error:
            return Verdict(mutant, STALE, str(error), 0.0)
        times = path.stat()
        try:
            self._replace(path, mutated)
            outcome, by = self._outcome(mutant.tests, SHORT_TIMEOUT_S)
            drifted = outcome == SURVIVED and whole
            if drifted:
                outcome, by = self._outcome(("tests",), WHOLE_TIMEOUT_S)
        finally:
            self._replace(path, text)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        if outcome == CAUGHT and not any(self._pytest((by,), SHORT_TIMEOUT_S)[0] == 0 for _ in range(TRIES)):
            outcome, by = UNSOUND, f"without the mutant {by} does not pass either"
        return Verdict(mutant, outcome, by, time.monotonic() - began, drifted)

    def _replace(self, path: Path, text: str) -> None:
        """Write a module, and take away what was compiled of it: a change within a second does not show in its time."""
        path.write_text(text)
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def _outcome(self, tests: Sequence[str], timeout_s: float) -> tuple[str, str]:
        code, output = self._pytest(tests, timeout_s)
        if code is None:
            return HANGS, f"no verdict within {timeout_s:.0f} s"
        if code == 0:
            return SURVIVED, ""
        failed = _FAILED.findall(output)
        if code == 1 and failed:
            return CAUGHT, failed[0]
        return BROKEN, f"pytest ended with {code}: {' '.join(output.split())[-400:]}"

    def _pytest(self, tests: Sequence[str], timeout_s: float) -> tuple[int | None, str]:
        """Run tests up to the first failure; return the exit status (None: the time was over) and the output."""
        if self._removed:
            return None, ""
        scratch = self.folder / "t"
        scratch.mkdir(exist_ok=True)
        options = ["-x", "-q", "--tb=short", "--no-header", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, f"--basetemp={scratch / 'p'}", *tests],
            cwd=self.path,
            env={**self._environment, "TMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            self._clear()

    def _clear(self) -> None:
        """End the processes that a broken product left, and remove what they wrote."""
        for pid in marked_processes(str(self.folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in ("t", "tree/.hypothesis"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for note in Path("/dev/shm", f"contexta-{os.getuid()}").glob("*/workspace"):
            with contextlib.suppress(OSError):
                if note.read_text(errors="replace").startswith(str(self.folder)):
                    shutil.rmtree(note.parent, ignore_errors=True)


def marked_processes(folder: str) -> list[int]:
    """Return the processes that the tests of a copy started, wherever they moved; without a /proc, none."""
    mark = os.fsencode(f"{_MARK}={folder}")
    found = []
    for entry in os.listdir("/proc") if Path("/proc").is_dir() else []:
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if mark in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                    found.append(int(entry))
    return found
